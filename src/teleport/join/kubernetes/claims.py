"""What a ServiceAccount token says: read where somebody has vouched for it, described where it was refused. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teleport.errors import JoinRefused
from teleport.join.kubernetes.rules import ServiceAccount
from teleport.kube.bound_pod import BoundPod
from teleport.kube.token_review import ReviewStatus, parse_status, parse_username
from teleport.pki.jwt import JwtError, UnverifiedJwt, read_audiences, read_text, read_time

MAX_SHOWN = 256
"""Characters of a claim that are written into an event."""
MAX_SHOWN_AUDIENCES = 8


@dataclass(frozen=True, slots=True)
class VouchedToken:
    """A token that somebody has vouched for, as far as it matters."""

    account: ServiceAccount
    account_uid: str
    pod_name: str
    pod_uid: str
    audiences: tuple[str, ...]
    issued: datetime | None
    expires: datetime
    token_id: str

    @property
    def bound_pod(self) -> BoundPod:
        """Return the pod that the token is bound to."""
        return BoundPod(self.account.namespace, self.pod_name, self.pod_uid, self.account.name, self.account_uid)

    def describe(self) -> dict[str, Any]:
        """Return what the audit log says of it."""
        return {
            "namespace": self.account.namespace,
            "service_account": self.account.name,
            "pod": self.pod_name,
            "pod_uid": self.pod_uid,
            "audiences": list(self.audiences),
        }


def read_reviewed_token(token: UnverifiedJwt, status: ReviewStatus, audiences: tuple[str, ...]) -> VouchedToken:
    """Return what a token says that was shown to the API server, and what the API server says of it.

    Raises:
        JoinRefused: see `parse_status`.
        JwtError: a claim is malformed or missing.
    """
    account = parse_status(status, audiences)
    return VouchedToken(
        account=ServiceAccount(account.namespace, account.name),
        account_uid=account.uid,
        pod_name=account.pod_name,
        pod_uid=account.pod_uid,
        audiences=account.audiences,
        issued=read_time(token.claims, "iat"),
        expires=read_expiry(token),
        token_id=identify(token),
    )


def read_bound_token(token: UnverifiedJwt, audiences: tuple[str, ...]) -> VouchedToken:
    """Return what a token with a good signature says.

    Raises:
        JoinRefused: it is for another audience, of no ServiceAccount, or bound to no pod.
        JwtError: a claim is malformed or missing.
    """
    common = find_common_audiences(read_audiences(token.claims), audiences)
    account = read_service_account(token)
    bound = token.claims.get("kubernetes.io")
    pod, owner = (_read_block(bound, name) for name in ("pod", "serviceaccount"))
    if not read_text(pod, "name") or not read_text(pod, "uid"):
        raise JoinRefused("not_pod_bound", "the token is bound to no pod; mount a projected token into the pod")
    return VouchedToken(
        account=account,
        account_uid=read_text(owner, "uid"),
        pod_name=read_text(pod, "name"),
        pod_uid=read_text(pod, "uid"),
        audiences=common,
        issued=read_time(token.claims, "iat"),
        expires=read_expiry(token),
        token_id=identify(token),
    )


def find_common_audiences(own: tuple[str, ...], accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of a token's audiences that are accepted, compared as whole texts.

    Raises:
        JoinRefused: there are none.
    """
    common = tuple(audience for audience in own if audience in accepted)
    if not common:
        shown = ", ".join(_shorten(own)) or "nobody"
        raise JoinRefused("wrong_audience", f"the token is for {shown}, and accepted is {' or '.join(accepted)}")
    return common


def read_service_account(token: UnverifiedJwt) -> ServiceAccount:
    """Return whose token it says to be.

    Raises:
        JoinRefused: it is of no ServiceAccount.
        JwtError: the claim is no text.
    """
    namespace, name = parse_username(read_text(token.claims, "sub"))
    return ServiceAccount(namespace, name)


def read_expiry(token: UnverifiedJwt) -> datetime:
    """Return when a token expires.

    Raises:
        JwtError: it does not say so.
    """
    expires = read_time(token.claims, "exp")
    if expires is None:
        raise JwtError("missing_claim", "the token does not say when it expires")
    return expires


def check_issuer(token: UnverifiedJwt, issuer: object) -> None:
    """Refuse a token of another issuer; the two are compared as whole texts.

    Raises:
        JoinRefused: the issuers differ, or there is none to compare with.
    """
    if not isinstance(issuer, str) or token.claims.get("iss") != issuer:
        raise JoinRefused("wrong_issuer", "the token is of another issuer")


def describe_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a refused token says of itself, for the audit log: bounded, and perhaps untrue."""
    pod = _read_block(claims.get("kubernetes.io"), "pod")
    texts = {"issuer": claims.get("iss"), "subject": claims.get("sub")}
    texts |= {"pod": pod.get("name"), "pod_uid": pod.get("uid")}
    audiences = claims.get("aud")
    named = [audiences] if isinstance(audiences, str) else audiences if isinstance(audiences, list) else []
    shown = {name: text[:MAX_SHOWN] for name, text in texts.items() if isinstance(text, str)}
    return {**shown, "audiences": _shorten([each for each in named if isinstance(each, str)])}


def identify(token: UnverifiedJwt) -> str:
    """Return what tells this token from others, and does not let anybody in.

    The signature is no part of it: from an ECDSA signature anybody can compute another one that is as good.
    """
    issuer, token_id = token.claims.get("iss"), token.claims.get("jti")
    named = f"{issuer}\n{token_id}".encode() if isinstance(token_id, str) and token_id else token.signed
    return hashlib.sha256(named).hexdigest()


def _shorten(audiences: Sequence[str]) -> list[str]:
    return [audience[:MAX_SHOWN] for audience in audiences[:MAX_SHOWN_AUDIENCES]]


def _read_block(bound: object, name: str) -> Mapping[str, Any]:
    block = bound.get(name) if isinstance(bound, dict) else None
    return block if isinstance(block, dict) else {}
