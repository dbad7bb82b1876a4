"""Whatever stands in a spec: what the API server refuses, the operator's reader refuses as well."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.declared import LONG_NAME, build_object, find_problems
from support.token_objects import TokenObjects

NAMES = st.sampled_from(["", "web", "apps", "*", "we?b", "-web", "Web", "a.b", None])
ACCOUNTS = st.sampled_from(["", "apps:web", ":web", "apps:", "a:b:c", "apps:*", "apps.x:web", "Apps:web", "web", None])
TIMES = st.sampled_from(
    ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.5+02:00", "2030-01-01", "", "2030-13-01T00:00:00Z", None]
)
DURATIONS = st.sampled_from(["1h", "30m", "59s", "1m", "90m0s", "1d", "", "1.5h", "0s", "87600h", "87601h", "h", None])
SWITCHES = st.sampled_from([True, False, None, "yes"])


def section(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Some of the fields, or nothing."""
    return st.none() | st.fixed_dictionaries({}, optional=fields)


RULES = section(
    service_account=ACCOUNTS, service_account_name=NAMES, service_account_namespace=NAMES, pod=st.just("web")
)
SECTION = section(
    type=st.sampled_from(["", "in_cluster", "static_jwks", "oidc", "inCluster", None]),
    allow=st.none() | st.lists(RULES, max_size=2),
    static_jwks=section(jwks=st.sampled_from(["", '{"keys": []}', None])),
    oidc=section(
        issuer=st.sampled_from(["", "https://issuer", "http://issuer", "issuer", None]),
        insecure_allow_http_issuer=SWITCHES,
    ),
    verify_pod=SWITCHES,
    on_token_reuse=st.sampled_from(["", "refuse", "maybe"]),
)
LIMITS = section(
    max_uses=st.sampled_from([0, 1, 10**9, 10**9 + 1, "1", 1.5]),
    allow_cidrs=st.lists(st.sampled_from(["192.0.2.0/24", "::/0", "everywhere", "192.0.2.1"]), max_size=2),
    not_before=TIMES,
)
SECRET = section(
    name=st.sampled_from(["agents", "Agents", "", None]),
    fromSecret=section(name=st.sampled_from(["mine", "Mine", None]), key=st.sampled_from(["token", "a b", None])),
    rotateEvery=DURATIONS,
    overlap=DURATIONS,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "bot_name": st.sampled_from(["", "robot", None]),
    "expires": TIMES,
    "ttl": DURATIONS,
    "limits": LIMITS,
    "secret": SECRET,
    "deletionPolicy": st.sampled_from(["Delete", "delete", None]),
    "driftPolicy": st.sampled_from(["Report", "", None]),
    "allow": st.sampled_from([None, [], [{"aws_account": "1"}]]),
}
ROLES = st.none() | st.lists(st.sampled_from(["Node", "app", "Bot", "BOT", "Nodee", "windows_desktop"]), max_size=3)
METHODS = st.sampled_from(["", "token", "github", "pigeon", "Kubernetes", None])
SPECS = st.fixed_dictionaries({"roles": ROLES}, optional={**FIELDS, "join_method": METHODS}) | st.fixed_dictionaries(
    {"roles": ROLES, "join_method": st.just("kubernetes")}, optional={**FIELDS, "kubernetes": SECTION}
)
"""A section without its method is nobody's to judge: it has no effect."""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([LONG_NAME, "short"]), spec=SPECS)
def test_the_reader_is_never_the_more_lenient_one(installed: TokenObjects, name: str, spec: dict[str, Any]) -> None:
    answer = installed.create(name, spec, "dryRun=All")
    assert answer.accepted or find_problems(build_object(spec, name=name)), answer.message
