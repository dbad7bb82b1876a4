"""What to type when Kubernetes does not let a process ask: its refusal names the account, and the command follows."""

import re

_ACCOUNT = re.compile(r'User "system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)"')


def build_reviews_grant(refusal: str) -> str:
    """Return the command that lets a ServiceAccount review tokens.

    Args:
        refusal: what the API server said.
    """
    return _build_binding(*_find_account(refusal), "auth-delegator", "system:auth-delegator")


def build_keys_grant(refusal: str) -> str:
    """Return the command that lets a ServiceAccount read the cluster's keys, as `build_reviews_grant` does."""
    return _build_binding(*_find_account(refusal), "issuer-discovery", "system:service-account-issuer-discovery")


def build_pods_grant(refusal: str) -> str:
    """Return the commands that let a ServiceAccount look at pods, as `build_reviews_grant` does."""
    namespace, name = _find_account(refusal)
    role = f"{namespace}-{name}-pods"
    create = f"kubectl create clusterrole {role} --verb=get --resource=pods"
    return f"{create} && {_build_binding(namespace, name, 'pods', role)}"


def build_watch_grant(refusal: str) -> str:
    """Return the commands that let a ServiceAccount watch pods and ServiceAccounts, as `build_reviews_grant` does."""
    namespace, name = _find_account(refusal)
    role = f"{namespace}-{name}-watch"
    create = f"kubectl create clusterrole {role} --verb=get,list,watch --resource=pods,serviceaccounts"
    return f"{create} && {_build_binding(namespace, name, 'watch', role)}"


def _build_binding(namespace: str, name: str, suffix: str, role: str) -> str:
    return (
        f"kubectl create clusterrolebinding {namespace}-{name}-{suffix} "
        f"--clusterrole={role} --serviceaccount={namespace}:{name}"
    )


def _find_account(refusal: str) -> tuple[str, str]:
    found = _ACCOUNT.search(refusal)
    return (found[1], found[2]) if found else ("NAMESPACE", "SERVICEACCOUNT")
