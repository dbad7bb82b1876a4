"""What a ServiceAccount token says: read where somebody has vouched for it, described where it was refused. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teleport.errors import JoinRefused
from teleport.join.kubernetes.rules import ServiceAccount
from teleport.kube.token_review import parse_username
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

    def describe(self) -> dict[str, Any]:
        """Return what the audit log says of it."""
        return {
            "namespace": self.account.namespace,
            "service_account": self.account.name,
            "pod": self.pod_name,
            "pod_uid": self.pod_uid,
            "audiences": list(self.audiences),
        }


def read_bound_token(token: UnverifiedJwt, audiences: tuple[str, ...]) -> VouchedToken:
    """Return what a token with a good signature says.

    Raises:
        JoinRefused: it is for another audience, of no ServiceAccount, or bound to no pod.
        JwtError: a claim is malformed or missing.
    """
    named = read_audiences(token.claims)
    common = tuple(audience for audience in named if audience in audiences)
    if not common:
        shown = ", ".join(_shorten(named)) or "nobody"
        raise JoinRefused("wrong_audience", f"the token is for {shown}, and accepted is {', '.join(audiences)}")
    namespace, name = parse_username(read_text(token.claims, "sub"))
    bound = token.claims.get("kubernetes.io")
    pod, account = (_read_block(bound, name) for name in ("pod", "serviceaccount"))
    if not read_text(pod, "name") or not read_text(pod, "uid"):
        raise JoinRefused("not_pod_bound", "the token is bound to no pod; mount a projected token into the pod")
    return VouchedToken(
        account=ServiceAccount(namespace, name),
        account_uid=read_text(account, "uid"),
        pod_name=read_text(pod, "name"),
        pod_uid=read_text(pod, "uid"),
        audiences=common,
        issued=read_time(token.claims, "iat"),
        expires=require_expiry(token),
        token_id=identify(token),
    )


def describe_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a refused token says of itself, for the audit log: bounded, and perhaps untrue."""
    pod = _read_block(claims.get("kubernetes.io"), "pod")
    texts = {"issuer": claims.get("iss"), "subject": claims.get("sub")}
    texts |= {"pod": pod.get("name"), "pod_uid": pod.get("uid")}
    audiences = claims.get("aud")
    named = [audiences] if isinstance(audiences, str) else audiences if isinstance(audiences, list) else []
    shown = {name: text[:MAX_SHOWN] for name, text in texts.items() if isinstance(text, str)}
    return {**shown, "audiences": _shorten([each for each in named if isinstance(each, str)])}


def require_expiry(token: UnverifiedJwt) -> datetime:
    """Return when a token ends.

    Raises:
        JwtError: it does not say.
    """
    expires = read_time(token.claims, "exp")
    if expires is None:
        raise JwtError("missing_claim", "the token does not say when it expires")
    return expires


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
