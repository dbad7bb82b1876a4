import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.join.kubernetes.rules import ServiceAccount, find_mismatches, find_nearest, find_rule
from teleport.join.kubernetes.spec import Rule

ACCOUNT = ServiceAccount("apps", "web")


@pytest.mark.parametrize(
    "rule",
    [
        Rule(service_account="apps:web"),
        Rule(service_account_namespace="apps"),
        Rule(service_account_name="web"),
        Rule(service_account_namespace="*", service_account_name="w?b"),
        Rule(service_account_namespace="a*s", service_account_name="**"),
        Rule(service_account="apps:web", service_account_namespace="app?", service_account_name="*"),
    ],
)
def test_all_parts_of_a_rule_match(rule: Rule) -> None:
    assert find_rule([rule], ACCOUNT) == rule


@pytest.mark.parametrize(
    "rule",
    [
        Rule(service_account="apps:we"),
        Rule(service_account="apps:webb"),
        Rule(service_account="app:web"),
        Rule(service_account_namespace="app"),
        Rule(service_account_namespace="pps"),
        Rule(service_account_namespace="app??"),
        Rule(service_account_name="w.b"),
        Rule(service_account="apps:web", service_account_name="db"),
        Rule(service_account="other:web", service_account_namespace="*"),
    ],
)
def test_hostile_15_one_part_that_does_not_match_is_enough(rule: Rule) -> None:
    assert find_rule([rule], ACCOUNT) is None


def test_hostile_15_a_namespace_that_only_begins_alike_does_not_match() -> None:
    assert find_rule([Rule(service_account_namespace="ns")], ServiceAccount("ns-evil", "web")) is None
    assert find_rule([Rule(service_account="ns:web")], ServiceAccount("ns-evil", "web")) is None


def test_the_first_rule_that_matches_is_found() -> None:
    rules = [Rule(service_account="a:b"), Rule(service_account_namespace="apps"), Rule(service_account="apps:web")]
    assert find_rule(rules, ACCOUNT) == rules[1]


def test_the_nearest_rule_is_the_one_with_the_fewest_mismatches_or_of_the_same_namespace() -> None:
    far = Rule(service_account="a:b", service_account_name="c")
    near, nearer = Rule(service_account="a:b"), Rule(service_account="apps:db")
    assert find_nearest([far, near, nearer], ACCOUNT) == nearer
    assert find_mismatches(far, ACCOUNT) == ("service_account", "service_account_name")


def test_of_rules_that_are_equally_near_the_first_is_named() -> None:
    first, second = Rule(service_account="apps:db"), Rule(service_account="apps:api")
    assert find_nearest([Rule(service_account="a:b"), first, second], ACCOUNT) == first
    assert find_nearest([second, first], ACCOUNT) == second


def test_hostile_15_a_pattern_of_many_stars_is_not_tried_in_every_way() -> None:
    account = ServiceAccount("a" * 63, "a" * 253)
    assert find_rule([Rule(service_account_name="*a" * 126 + "b")], account) is None
    assert find_rule([Rule(service_account_name="*" * 252 + "b")], account) is None
    assert find_rule([Rule(service_account_name="*a" * 126)], account) is not None


def fits(pattern: str, text: str) -> bool:
    """Tell the same by the definition."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(fits(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])


@given(pattern=st.text("ab-.*?", min_size=1, max_size=6), name=st.text("ab-.", min_size=1, max_size=8))
def test_hostile_15_a_pattern_means_what_is_documented(pattern: str, name: str) -> None:
    for rule, account in (
        (Rule(service_account_name=pattern), ServiceAccount("x", name)),
        (Rule(service_account_namespace=pattern), ServiceAccount(name, "x")),
    ):
        assert (find_rule([rule], account) is not None) is fits(pattern, name)


@given(first=st.text("ab:*", max_size=6), second=st.text("ab:*", max_size=6))
def test_hostile_15_an_exact_rule_admits_one_account(first: str, second: str) -> None:
    rule = Rule(service_account="a:b")
    assert (find_rule([rule], ServiceAccount(first, second)) is not None) is ((first, second) == ("a", "b"))
