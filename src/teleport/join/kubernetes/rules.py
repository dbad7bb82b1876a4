"""Whom the rules of a token admit, and how far a ServiceAccount is from that. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from teleport.join.kubernetes.spec import Rule


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A ServiceAccount whose token somebody has vouched for."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Write it as rules name it."""
        return f"{self.namespace}:{self.name}"


def find_rule(rules: Sequence[Rule], account: ServiceAccount) -> Rule | None:
    """Return the first rule that admits the account."""
    return next((rule for rule in rules if not find_mismatches(rule, account)), None)


def find_mismatches(rule: Rule, account: ServiceAccount) -> tuple[str, ...]:
    """Return the fields of a rule that speak against the account; none means that the rule admits it."""
    checks = {
        "service_account": not rule.service_account or rule.service_account == str(account),
        "service_account_namespace": _matches(rule.service_account_namespace, account.namespace),
        "service_account_name": _matches(rule.service_account_name, account.name),
    }
    return tuple(field for field, holds in checks.items() if not holds)


def find_nearest(rules: Sequence[Rule], account: ServiceAccount) -> Rule:
    """Return the rule with the fewest mismatches, among those one that names the account's own namespace.

    Of several that are equally near it is the first, so that people and logs are told of the same one.
    """
    return min(
        rules,
        key=lambda rule: (
            len(find_mismatches(rule, account)),
            not rule.service_account.startswith(f"{account.namespace}:"),
        ),
    )


def _matches(pattern: str, text: str) -> bool:
    """Tell whether the whole text fits: `*` is any run of characters, `?` is one, and a missing pattern fits all.

    A pattern has no brackets, see `parse_spec`. However many stars it has, no text is tried in every way.
    """
    return not pattern or fnmatchcase(text, pattern)
