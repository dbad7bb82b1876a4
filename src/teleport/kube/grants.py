"""What an administrator types or applies, so that a ServiceAccount may ask what it was refused, and nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from teleport.errors import BadParameter

RBAC = "rbac.authorization.k8s.io"

_USERNAME = re.compile(r"system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})")
_REFUSED = re.compile(rf'User "{_USERNAME.pattern}"')
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Account:
    """The ServiceAccount that shall have a right; by default places for its names."""

    namespace: str = "NAMESPACE"
    name: str = "SERVICEACCOUNT"

    def __str__(self) -> str:
        """Return it as `kubectl` wants it."""
        return f"{self.namespace}:{self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a role allows of some kinds of objects of one API group."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role and its binding to one ServiceAccount."""

    account: Account
    suffix: str
    """Tells the binding's name from those of other grants."""
    cluster_role: str = ""
    """One that every cluster has; without it a role is made of the rule."""
    rule: Rule | None = None
    namespace: str = ""
    """Where it holds; everywhere if it is empty."""

    @property
    def name(self) -> str:
        """Return the name of the binding, and of the role if that is made."""
        return f"{self.account.namespace}-{self.account.name}-{self.suffix}"

    @property
    def command(self) -> str:
        """Return the shell command that grants it."""
        where = f" --namespace={self.namespace}" if self.namespace else ""
        kind = "role" if self.namespace else "clusterrole"
        bind = (
            f"kubectl create {kind}binding {self.name}{where} --{kind}={self.cluster_role or self.name}"
            f" --serviceaccount={self.account}"
        )
        if self.rule is None:
            return bind
        group = f".{self.rule.group}" if self.rule.group else ""
        verbs, resources = ",".join(self.rule.verbs), ",".join(name + group for name in self.rule.resources)
        return f"kubectl create {kind} {self.name}{where} --verb={verbs} --resource={resources} && {bind}"

    def build_manifests(self) -> list[dict[str, Any]]:
        """Return the same as objects to apply."""
        kind = "Role" if self.namespace else "ClusterRole"
        metadata = {"name": self.name} | ({"namespace": self.namespace} if self.namespace else {})
        subject = {"kind": "ServiceAccount", "name": self.account.name, "namespace": self.account.namespace}
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": self.cluster_role or self.name},
            "subjects": [subject],
        }
        if self.rule is None:
            return [binding]
        rule = {"apiGroups": [self.rule.group], "resources": list(self.rule.resources), "verbs": list(self.rule.verbs)}
        return [{"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": [rule]}, binding]


def find_account(refusal: str) -> Account:
    """Return the account that the API server's refusal names, or places for its names."""
    found = _REFUSED.search(refusal)
    return Account(found[1], found[2]) if found else Account()


def parse_username(username: str) -> Account | None:
    """Return the account of a user name, or None if it is of no ServiceAccount."""
    found = _USERNAME.fullmatch(username)
    return Account(found[1], found[2]) if found else None


def parse_namespace(text: str) -> str:
    """Read the name of a namespace, which becomes part of commands (RFC 1123, a label).

    Raises:
        BadParameter: it is none.
    """
    if not _NAMESPACE.fullmatch(text):
        raise BadParameter(f"{text[:64]!r} is no name of a namespace")
    return text


def build_reviews_grant(account: Account) -> Grant:
    """Return the right to review tokens, by the role that every cluster has for it; it reviews access as well."""
    return Grant(account, "auth-delegator", cluster_role="system:auth-delegator")


def build_least_reviews_grant(account: Account) -> Grant:
    """Return the right to review tokens and no other."""
    return Grant(account, "tokenreviews", rule=Rule(("create",), ("tokenreviews",), "authentication.k8s.io"))


def build_keys_grant(account: Account) -> Grant:
    """Return the right to read the cluster's keys, which clusters grant to every ServiceAccount from the start."""
    return Grant(account, "issuer-discovery", cluster_role="system:service-account-issuer-discovery")


def build_pods_grant(account: Account, namespace: str = "") -> Grant:
    """Return the right to look at one pod, which `verify_pod` needs."""
    return Grant(account, "pods", rule=Rule(("get",), ("pods",)), namespace=namespace)


def build_watch_grant(account: Account, namespace: str = "") -> Grant:
    """Return the right to watch pods and ServiceAccounts, which `bind_to_pod` needs."""
    return Grant(
        account, "watch", rule=Rule(("get", "list", "watch"), ("pods", "serviceaccounts")), namespace=namespace
    )


def build_state_grant(account: Account, namespace: str) -> Grant:
    """Return the right to keep Secrets in a namespace, which an agent needs that keeps its state in one."""
    return Grant(account, "state", rule=Rule(("get", "create", "patch"), ("secrets",)), namespace=namespace)


def build_all_manifests(grants: Sequence[Grant]) -> list[dict[str, Any]]:
    """Return the objects of several grants, in their order."""
    return [manifest for grant in grants for manifest in grant.build_manifests()]
