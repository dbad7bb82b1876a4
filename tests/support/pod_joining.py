"""A cluster of pods without a network: its API judges tokens as a kube-apiserver does, and an auth server asks it.

What it answers was seen on a kube-apiserver 1.34, whose own leeway after `exp` is a minute.
"""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.auth import ANONYMOUS, CLUSTER, InProcessAuth
from support.clock import FakeClock
from support.jwt_tokens import ISSUER, NOW, RSA, build_claims, build_jwk, build_jwks, sign
from teleport.api.joined import Keys
from teleport.api.messages import JoinResponse
from teleport.auth.access import Caller, CallerKind
from teleport.errors import JoinRefused, TeleportError, Unavailable
from teleport.kube.access import KubernetesAccess, Verification
from teleport.kube.errors import NoAnswer
from teleport.kube.objects import Listing, ObjectChange, ObjectKind, Pod, ServiceAccountObject
from teleport.kube.token_review import ReviewStatus
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec
from teleport.web.errors import build_error_reply

T = TypeVar("T")
API_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
API_URL = "https://10.96.0.1:443"
AUTH_ACCOUNT = "system:serviceaccount:teleport:auth"
TOKEN_NAME = "kubernetes-token"
PREFIX = "authentication.kubernetes.io"
RULE = {"service_account": "apps:web"}
ELSEWHERE = Caller(CallerKind.ANONYMOUS, remote_addr="198.51.100.9")
LEEWAY = timedelta(minutes=1)
FORGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class FakePods:
    """The API, the pods and the ServiceAccounts that it knows, and hands to steer it."""

    clock: FakeClock
    own_token: str = field(default_factory=lambda: sign(build_claims(aud=[API_AUDIENCE], sub=AUTH_ACCOUNT)))
    accounts: dict[str, str] = field(default_factory=lambda: {"apps:web": "account-uid"})
    """UIDs by `namespace:name`."""
    pods: dict[str, Pod] = field(
        default_factory=lambda: {"apps/web-0": Pod("web-0", "pod-uid", "web", is_terminating=False)}
    )
    keys: str = field(default_factory=lambda: build_jwks(build_jwk(RSA)))
    """What it publishes."""
    answers: dict[str, ReviewStatus] = field(default_factory=dict)
    """What it says of some tokens, whatever they are."""
    failure: TeleportError | None = None
    gate: asyncio.Event | None = None
    """While it is not set, reviews hang."""
    asked: list[tuple[str, ...]] = field(default_factory=list)
    """The audiences of each review."""
    keys_asked: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_until_asked(self, number: int) -> None:
        """Wait until so many reviews were asked for."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.asked) >= number)

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        self.asked.append(tuple(audiences))
        async with self._arrived:
            self._arrived.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.answers.get(token) or self._review(token, audiences)

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        if self.failure is not None:
            raise self.failure
        return self.pods.get(f"{namespace}/{name}")

    async def get_service_account(self, namespace: str, name: str) -> ServiceAccountObject | None:
        if self.failure is not None:
            raise self.failure
        uid = self.accounts.get(f"{namespace}:{name}")
        return None if uid is None else ServiceAccountObject(namespace, name, uid)

    async def list_objects(self, kind: ObjectKind[T], namespace: str) -> Listing[T]:
        del kind, namespace
        return Listing((), "1")

    async def watch_objects(
        self, kind: ObjectKind[T], namespace: str, resource_version: str
    ) -> AsyncGenerator[ObjectChange[T], None]:
        del kind, namespace, resource_version
        changes: tuple[ObjectChange[T], ...] = ()
        for change in changes:
            yield change

    async def get_jwks(self) -> str:
        self.keys_asked += 1
        if self.failure is not None:
            raise self.failure
        return self.keys

    async def close(self) -> None:
        """Close nothing."""

    def _review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        try:
            claims = _verify(token)
        except InvalidSignature:
            return _refuse("go-jose/go-jose: error in cryptographic primitive")
        if not isinstance(claims.get("kubernetes.io"), dict):
            return _refuse("no claims of a ServiceAccount")
        named = claims.get("aud", [])
        common = tuple(each for each in named if each in audiences)
        if not common:
            return _refuse(f"token audiences {named} is invalid for the target audiences {list(audiences)}")
        if "exp" in claims and self.clock.now() > datetime.fromtimestamp(claims["exp"], NOW.tzinfo) + LEEWAY:
            return _refuse("service account token has expired")
        return self._find_problem(claims) or _vouch(claims, common)

    def _find_problem(self, claims: dict[str, Any]) -> ReviewStatus | None:
        bound = claims["kubernetes.io"]
        account, pod = bound["serviceaccount"], bound.get("pod")
        uid = self.accounts.get(f"{bound['namespace']}:{account['name']}")
        if uid is None:
            return _refuse(f'serviceaccounts "{account["name"]}" not found')
        if uid != account["uid"]:
            return _refuse(f"service account UID ({uid}) does not match claim ({account['uid']})")
        if pod is None:
            return None
        known = self.pods.get(f"{bound['namespace']}/{pod['name']}")
        if known is None:
            return _refuse("service account token has been invalidated")
        if known.uid != pod["uid"]:
            return _refuse(f"pod UID ({known.uid}) does not match service account pod ref claim ({pod['uid']})")
        return None


def _verify(token: str) -> dict[str, Any]:
    signed, _, signature = token.rpartition(".")
    RSA.public_key().verify(_decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    claims: dict[str, Any] = json.loads(_decode(signed.partition(".")[2]))
    return claims


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refuse(text: str) -> ReviewStatus:
    return ReviewStatus(error=f"[invalid bearer token, {text}]")


def _vouch(claims: dict[str, Any], audiences: tuple[str, ...]) -> ReviewStatus:
    bound = claims["kubernetes.io"]
    namespace = bound["namespace"]
    extra = {f"{PREFIX}/credential-id": (f"JTI={claims.get('jti')}",)}
    for kind in ("pod", "node"):
        if kind in bound:
            extra |= {f"{PREFIX}/{kind}-{key}": (bound[kind][key],) for key in ("name", "uid")}
    return ReviewStatus(
        authenticated=True,
        username=claims["sub"],
        uid=bound["serviceaccount"]["uid"],
        groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
        extra=extra,
        audiences=audiences,
    )


class FakeIssuers:
    """Issuers that publish their keys over https; `fetch` is to be put in the place of the product's own."""

    def __init__(self) -> None:
        self.published: dict[str, str] = {ISSUER: build_jwks(build_jwk(RSA))}
        self.fetched: list[str] = []

    async def fetch(self, issuer: str, *, allow_http: bool) -> str:
        """Return what an issuer publishes."""
        assert not allow_http
        self.fetched.append(issuer)
        if issuer not in self.published:
            raise NoAnswer(f"cannot ask {issuer}")
        return self.published[issuer]


STATIC: dict[str, Any] = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks(build_jwk(RSA))}}
OIDC: dict[str, Any] = {"type": "oidc", "oidc": {"issuer": ISSUER}}
KINDS: dict[str, dict[str, Any]] = {
    "in_cluster": {},
    "cluster_keys": {"verification": Verification.JWKS},
    "static_jwks": STATIC,
    "oidc": OIDC,
}
"""The kinds of proof, each by what `PodJoining.start` takes."""


class PodJoining:
    """An auth server beside such a cluster, and those who want to join with a token resource of method `kubernetes`."""

    def __init__(self, auth: InProcessAuth, api: FakePods, access: KubernetesAccess, reports: list[str | None]) -> None:
        self.auth = auth
        self.api = api
        self.access = access
        self.reports = reports
        """What readiness was told."""
        self.section: dict[str, Any] = {}
        """Of the token resource, beside its rules."""

    @classmethod
    async def start(cls, verification: Verification = Verification.TOKENREVIEW, **section: Any) -> Self:
        """Return a new cluster with a token resource; without rules it admits `apps:web`."""
        clock = FakeClock()
        api = FakePods(clock)
        reports: list[str | None] = []
        access = KubernetesAccess(api=api, clock=clock, verification=verification, report=reports.append)
        self = cls(await InProcessAuth.start(clock=clock, kubernetes=access), api, access, reports)
        await self.admit(**section)
        return self

    async def admit(self, *, limits: dict[str, Any] | None = None, **section: Any) -> None:
        """Store the token resource, in place of one that is there."""
        self.section = section
        token = build_token(**section)
        if limits is not None:
            limited = token.spec.model_validate({**token.spec.model_dump(), "limits": limits})
            token = token.model_copy(update={"spec": limited})
        await self.auth.stores.tokens.upsert(token)

    async def join(self, proof: str, *, keys: Keys | None = None, caller: Caller = ANONYMOUS) -> JoinResponse:
        """Join with a proof."""
        return await self.auth.join(TOKEN_NAME, keys=keys, caller=caller, proof=proof)

    async def refuse(self, proof: str, *, keys: Keys | None = None, caller: Caller = ANONYMOUS) -> str:
        """Try to join, which must be refused as every refusal is, and return the reason.

        Nobody gets a certificate, nothing but ledger and audit has changed, the one new event tells why, and the caller
        learns the same as ever.
        """
        before, known = await self._read_state(), len(await self.auth.list_events())
        with pytest.raises(JoinRefused) as refusal:
            await self.join(proof, keys=keys, caller=caller)
        reply = build_error_reply(refusal.value)
        assert (reply.status, json.loads(reply.body)["error"]) == (
            403,
            {"code": "join_refused", "message": JoinRefused.PUBLIC},
        )
        assert await self._read_state() == before
        (event,) = (await self.auth.list_events())[known:]
        assert (event["event"], event["code"], event["success"]) == ("instance.join", "TJ002E", False)
        assert event["token_name"] == TOKEN_NAME
        assert event["reason"] == refusal.value.reason
        assert proof not in json.dumps(event)
        return str(event["reason"])

    async def fail(self, proof: str, *, caller: Caller = ANONYMOUS) -> Unavailable:
        """Try to join, which cannot be decided and denies nobody, and return how it failed."""
        before = await self._read_state()
        with pytest.raises(Unavailable) as failure:
            await self.join(proof, caller=caller)
        reply = build_error_reply(failure.value)
        assert (reply.status, json.loads(reply.body)["error"]["code"]) == (503, "unavailable")
        assert "Retry-After" in dict(reply.headers)
        assert await self._read_state() == before
        return failure.value

    async def _read_state(self) -> dict[str, bytes]:
        items = await self.auth.backend.range("", limit=10_000)
        return {item.key: item.value for item in items if not item.key.startswith(("audit/", "token_uses/"))}


def count_questions(joining: PodJoining, issuers: FakeIssuers) -> int:
    """Return how often anybody was asked for anything."""
    return len(joining.api.asked) + joining.api.keys_asked + len(issuers.fetched)


def build_token(**section: Any) -> Token:
    """Return a token resource; without rules it admits `apps:web`."""
    spec = TokenSpec(roles=(SystemRole.APP,), join_method="kubernetes", kubernetes={"allow": [RULE], **section})
    return Token(metadata=Metadata(name=TOKEN_NAME), spec=spec)


def build_proof(**changes: Any) -> str:
    """Return the token of a pod of the cluster; a change to None leaves a claim out."""
    return sign(build_claims(**{"aud": [CLUSTER], **changes}))


def forge_proof(**changes: Any) -> str:
    """Return the same by a key that nobody knows, under the name of the cluster's."""
    return sign(build_claims(**{"aud": [CLUSTER], **changes}), key=FORGER)


def after_now(**span: float) -> int:
    """Return a moment as claims hold it."""
    return int((NOW + timedelta(**span)).timestamp())
