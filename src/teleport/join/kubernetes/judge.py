"""How a ServiceAccount token is judged. Who vouches for it depends on the token resource; the rest is the same for all.

Talking and judging are apart: what Kubernetes says is asked for here, and pure functions say what follows from it. The
claims that are looked at are read from the very bytes that were vouched for.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from teleport.errors import BadParameter, JoinRefused
from teleport.join.kubernetes.claims import (
    VouchedToken,
    check_issuer,
    describe_claims,
    read_bound_token,
    read_reviewed_token,
)
from teleport.join.kubernetes.rules import ServiceAccount, find_mismatches, find_nearest, find_rule
from teleport.join.kubernetes.spec import KubernetesSpec, OnReuse, ProofType, parse_spec
from teleport.join.method import JudgeContext, ProofUse, UnverifiedProof, VerifiedIdentity
from teleport.kube.access import KubernetesAccess, Verification
from teleport.kube.bound_pod import Ending, find_pod_ending
from teleport.kube.discovery import OidcKeys
from teleport.kube.errors import BadAnswer, NotInCluster
from teleport.kube.token_review import USERNAME_PREFIX
from teleport.pki.jwks import JwkSet, UnknownKey, parse_jwks, verify_jwt
from teleport.pki.jwt import (
    LEEWAY,
    JwtError,
    UnverifiedJwt,
    check_times,
    parse_jwt,
    read_audiences,
)
from teleport.resources.token import Token

MAX_ISSUERS = 64
MAX_SPECS = 1000
OWN_TOKEN_PROBLEM = "auth's own ServiceAccount token cannot be read; mount a projected one"  # noqa: S105 - no token

_ENDINGS = {
    Ending.POD_GONE: "is not there any more",
    Ending.POD_REPLACED: "is another one of the same name",
    Ending.POD_FINISHED: "has finished, or was evicted",
}

LoadKeys = Callable[[], Awaitable[str]]


class KubernetesJudge:
    """Judges pods.

    Args:
        context: the cluster, and its way to Kubernetes.
    """

    def __init__(self, context: JudgeContext) -> None:
        self._cluster_name = context.cluster_name
        self._clock = context.clock
        self._kubernetes = context.kubernetes
        self._issuers: dict[tuple[str, bool], OidcKeys] = {}
        self._specs: dict[tuple[str, str], KubernetesSpec] = {}

    def check_token(self, token: Token) -> None:
        """Refuse a section by which nobody could be judged.

        Raises:
            BadParameter: see `parse_spec`.
        """
        parse_spec(token)

    async def judge(self, token: Token, proof: UnverifiedProof) -> VerifiedIdentity:
        """Say which ServiceAccount asks.

        Raises:
            JoinRefused: the token does not convince; the reason tells which check it failed.
            Unavailable: Kubernetes does not answer, or there is no way to it.
        """
        spec = self._read_spec(token)
        try:
            unverified = parse_jwt(proof.raw)
        except JwtError as error:
            raise JoinRefused(error.reason, error.message, attributes={"type": spec.type}) from error
        try:
            check_times(unverified.claims, self._clock.now())
            vouched = await self._vouch(spec, unverified, proof.raw)
            check_life(vouched.issued, vouched.expires, spec)
            check_rules(vouched.account, spec)
            if spec.verify_pod or spec.bind_to_pod:
                await self._check_pod(vouched, watched=spec.bind_to_pod)
        except (JwtError, JoinRefused) as error:
            detail = error.detail if isinstance(error, JoinRefused) else error.message
            attributes = {"type": spec.type, "claimed": describe_claims(unverified.claims)}
            raise JoinRefused(error.reason, detail, attributes=attributes) from error
        return VerifiedIdentity(
            subject=f"{USERNAME_PREFIX}{vouched.account}",
            attributes={"type": spec.type, **vouched.describe()},
            use=_build_use(vouched, spec),
            bound_to=vouched.bound_pod if spec.bind_to_pod else None,
        )

    def _read_spec(self, token: Token) -> KubernetesSpec:
        """Return the section of a stored token; it is read once for each revision, keys included."""
        known = (token.name, token.metadata.revision)
        if not token.metadata.revision:
            return parse_spec(token)
        if known not in self._specs:
            if len(self._specs) >= MAX_SPECS:
                self._specs.clear()
            self._specs[known] = parse_spec(token)
        return self._specs[known]

    async def _vouch(self, spec: KubernetesSpec, token: UnverifiedJwt, raw: str) -> VouchedToken:
        if spec.type is ProofType.STATIC_JWKS:
            verify_jwt(token, spec.keys)
            return read_bound_token(token, (self._cluster_name,))
        if spec.type is ProofType.OIDC:
            return await self._vouch_by_issuer(spec, token)
        kubernetes = self._require_kubernetes()
        audiences = self._accepted_audiences(kubernetes, spec)
        if kubernetes.verification is Verification.JWKS:
            await _verify(token, kubernetes.load_cluster_keys, kubernetes.refresh_cluster_keys)
            check_issuer(token, _read_own_claims(kubernetes).get("iss"))
            return read_bound_token(token, audiences)
        return read_reviewed_token(token, await kubernetes.review(raw, audiences), audiences)

    async def _vouch_by_issuer(self, spec: KubernetesSpec, token: UnverifiedJwt) -> VouchedToken:
        if spec.oidc is None:
            raise JoinRefused("no_issuer", "the token resource names no issuer")
        check_issuer(token, spec.oidc.issuer)
        keys = self._find_issuer(spec.oidc.issuer, allow_http=spec.oidc.insecure_allow_http_issuer)
        await _verify(token, keys.load, keys.refresh)
        return read_bound_token(token, (self._cluster_name,))

    def _find_issuer(self, issuer: str, *, allow_http: bool) -> OidcKeys:
        key = (issuer, allow_http)
        if key not in self._issuers:
            if len(self._issuers) >= MAX_ISSUERS:
                self._issuers.clear()
            self._issuers[key] = OidcKeys(issuer, clock=self._clock, allow_http=allow_http)
        return self._issuers[key]

    def _require_kubernetes(self) -> KubernetesAccess:
        if self._kubernetes is None:
            raise NotInCluster(
                "this auth server is not in a Kubernetes cluster and is told of none (auth_service.kubernetes)"
            )
        return self._kubernetes

    def _accepted_audiences(self, kubernetes: KubernetesAccess, spec: KubernetesSpec) -> tuple[str, ...]:
        """Return the cluster's name and, unless the token resource excludes them, the API server's own audiences.

        Those are learned from auth's own token, which the kubelet asked for without naming any.
        """
        if spec.require_own_audience:
            return (self._cluster_name,)
        return tuple(dict.fromkeys([self._cluster_name, *_read_own_audiences(kubernetes)]))

    async def _check_pod(self, vouched: VouchedToken, *, watched: bool) -> None:
        """Look at the pod itself: the API server's word may be ten seconds old."""
        kubernetes = self._require_kubernetes()
        pod = await kubernetes.get_pod(vouched.account.namespace, vouched.pod_name, watched=watched)
        ending = find_pod_ending(vouched.bound_pod, pod)
        if ending is not None:
            raise JoinRefused(ending, f"pod {vouched.pod_name!r} {_ENDINGS[ending]}")
        if pod is not None and pod.is_terminating:
            raise JoinRefused("pod_terminating", f"pod {vouched.pod_name!r} is ending")


async def _verify(token: UnverifiedJwt, load: LoadKeys, refresh: LoadKeys) -> None:
    """Verify a token by published keys; one that names an unknown key leads to one look at the publisher."""
    try:
        verify_jwt(token, parse_published_keys(await load()))
    except UnknownKey:
        verify_jwt(token, parse_published_keys(await refresh()))


@lru_cache(maxsize=MAX_ISSUERS)
def parse_published_keys(text: str) -> JwkSet:
    """Return keys that somebody publishes; what is wrong with them is not the stranger's fault.

    Raises:
        BadAnswer: the text is no key set.
    """
    try:
        return parse_jwks(text)
    except BadParameter as error:
        raise BadAnswer(f"the published key set cannot be used: {error.message}") from error


def check_life(issued: datetime | None, expires: datetime, spec: KubernetesSpec) -> None:
    """Refuse a token that lives longer than the token resource allows; exactly that long is allowed.

    Raises:
        JoinRefused: it lives too long, or does not say since when.
    """
    if spec.max_ttl is None:
        return
    if issued is None:
        raise JoinRefused("missing_claim", "the token does not say when it was issued")
    if expires - issued > spec.max_ttl:
        life = expires - issued
        raise JoinRefused("token_ttl_too_long", f"the token lives {life}, and {spec.max_ttl} is allowed")


def check_rules(account: ServiceAccount, spec: KubernetesSpec) -> None:
    """Refuse a ServiceAccount that no rule admits.

    Raises:
        JoinRefused: the detail names the nearest rule, and what of it does not match.
    """
    if find_rule(spec.allow, account) is not None:
        return
    nearest = find_nearest(spec.allow, account)
    fields = ", ".join(find_mismatches(nearest, account))
    shown = nearest.model_dump(exclude_defaults=True)
    raise JoinRefused("no_rule_matched", f"no rule admits {account}; the nearest is {shown}, which differs in {fields}")


def _read_own_claims(kubernetes: KubernetesAccess) -> Mapping[str, Any]:
    """Return the claims of auth's own token: it comes from a file that only the kubelet writes."""
    try:
        return _parse_own_token(kubernetes.own_token)
    except JwtError as error:
        raise BadAnswer(OWN_TOKEN_PROBLEM) from error


def _read_own_audiences(kubernetes: KubernetesAccess) -> tuple[str, ...]:
    try:
        return read_audiences(_read_own_claims(kubernetes))
    except JwtError as error:
        raise BadAnswer(OWN_TOKEN_PROBLEM) from error


@lru_cache(maxsize=1)
def _parse_own_token(token: str) -> Mapping[str, Any]:
    """Return the claims; they are needed for every join, and the file changes once in an hour."""
    return parse_jwt(token).claims


def _build_use(vouched: VouchedToken, spec: KubernetesSpec) -> ProofUse:
    return ProofUse(
        proof_id=vouched.token_id,
        expires=vouched.expires + LEEWAY + timedelta(minutes=1),
        same_address_may_reuse=spec.on_token_reuse is OnReuse.SAME_ADDRESS,
    )
