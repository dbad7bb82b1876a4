"""Specs of TeleportProvisionToken objects, with a default for everything."""

from typing import Any

Spec = dict[str, Any]


def build_spec(*accounts: str, roles: tuple[str, ...] = ("App",), **additions: object) -> Spec:
    """Return the spec of a token that admits ServiceAccounts."""
    allow = [{"service_account": account} for account in accounts or ("apps:app",)]
    return {"roles": list(roles), "join_method": "kubernetes", "kubernetes": {"allow": allow}, **additions}


def build_secret_spec(roles: tuple[str, ...] = ("Node",), **additions: object) -> Spec:
    """Return the spec of a secret token; its secret is made by the operator unless the additions say otherwise."""
    return {"roles": list(roles), "join_method": "token", "secret": {}, **additions}
