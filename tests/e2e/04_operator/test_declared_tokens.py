"""Objects become tokens by which real pods join; what is declared is followed, put right, ended, and taken along."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.kind import PATIENCE, PAUSE
from support.operator_specs import Spec, build_secret_spec, build_spec
from support.pod_operator import KIND, Declare, DeclaredToken, PodOperator
from support.pods import ACCOUNT, TOKEN_FILE, TOKEN_FOLDER, Tenant
from support.processes import wait_until
from teleport.resources.model import render_time
from teleport.resources.strict_yaml import render_yaml

pytestmark = pytest.mark.timeout(600)

OUTAGE = timedelta(minutes=1)


def admit(tenant: Tenant, **additions: Any) -> Spec:
    """Return a spec that admits the pods of a tenant."""
    return build_spec(f"{tenant.namespace}:{ACCOUNT}", **additions)


def test_an_object_that_is_applied_lets_a_pod_join(
    tenant: Tenant, token: DeclaredToken, record_property: Callable[[str, object], None]
) -> None:
    begun = datetime.now(UTC)
    token.apply(admit(tenant))
    found = wait_until(token.find_token, "the token is there", pause=0, patience=PATIENCE)
    shown = datetime.now(UTC)
    (created,) = (each for each in tenant.auth.read_audit("join_token.create") if each["token_name"] == token.name)
    stored = datetime.fromisoformat(created["time"])
    record_property("`kubectl apply` begun, token stored", f"{(stored - begun).total_seconds():.2f} s")
    record_property("`kubectl apply` begun, shown by `tctl get`", f"{(shown - begun).total_seconds():.2f} s")
    assert found["spec"]["kubernetes"]["allow"] == [{"service_account": f"{tenant.namespace}:{ACCOUNT}"}]
    pod = tenant.start("app")
    tenant.wait_until_joined(pod)
    (event,) = tenant.auth.list_joins(pod)
    assert event["token_name"] == token.name


def test_an_edit_decides_who_may_join(tenant: Tenant, token: DeclaredToken) -> None:
    token.apply(build_spec(f"elsewhere:{ACCOUNT}"))
    token.wait_for("Synced")
    tenant.assert_refused(tenant.start("early"), "no_rule_matched")
    token.apply(admit(tenant))
    token.wait_for("Synced")
    tenant.wait_until_joined(tenant.start("late"))


def test_what_others_edit_or_delete_is_put_right(tenant: Tenant, token: DeclaredToken, declare: Declare) -> None:
    edited, deleted = token, declare(f"{token.name}-2")
    for each in (edited, deleted):
        each.apply(admit(tenant))
        each.wait_for("Synced")
    document = edited.find_token()
    assert document is not None
    document["spec"]["kubernetes"]["allow"] = [{"service_account": "somebody:else"}]
    tenant.auth.tctl("create", "--force", stdin=render_yaml(document))
    tenant.auth.tctl("tokens", "rm", deleted.name)
    for each in (edited, deleted):
        each.wait_for_event("DriftRepaired")
        found = each.find_token()
        assert found is not None
        assert found["spec"]["kubernetes"]["allow"] == [{"service_account": f"{tenant.namespace}:{ACCOUNT}"}]
    tenant.wait_until_joined(tenant.start("app"))


def test_the_object_tells_who_joined_and_who_was_refused(tenant: Tenant, token: DeclaredToken) -> None:
    token.apply(admit(tenant))
    token.wait_for("Synced")
    pod = tenant.start("app")
    tenant.create_account("another")
    other = tenant.start("other", account="another")
    tenant.wait_until_joined(pod)
    tenant.assert_refused(other, "no_rule_matched")

    def look() -> bool:
        status = token.get()["status"]
        return "lastJoin" in status and "lastRefusal" in status

    wait_until(look, "the status tells", pause=PAUSE, patience=PATIENCE)
    status = token.get()["status"]
    assert status["lastJoin"]["hostId"] == tenant.auth.list_joins(pod)[0]["host_id"]
    assert status["lastRefusal"]["reason"] == "no_rule_matched"


def test_at_its_end_nobody_joins_any_more_and_the_object_says_so(tenant: Tenant, token: DeclaredToken) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    token.apply(admit(tenant, expires=render_time(end)))
    condition = token.wait_for("Expired")
    assert condition["status"] == "True"
    assert token.wait_for("Expired", "Active")["status"] == "False"
    assert token.find_token() is None
    tenant.assert_refused(tenant.start("late"), "token_expired")
    token.apply(admit(tenant, ttl="1h"))
    token.wait_for("Synced")
    tenant.wait_until_joined(tenant.start("later"))


def test_a_deleted_object_takes_its_token_along_and_a_new_one_brings_it_back(
    tenant: Tenant, token: DeclaredToken
) -> None:
    token.apply(admit(tenant))
    token.wait_for("Synced")
    token.delete()
    assert token.find_token() is None
    tenant.assert_refused(tenant.start("early"), "token_not_found")
    token.apply(admit(tenant))
    token.wait_for("Synced")
    tenant.wait_until_joined(tenant.start("late"))


def test_an_agent_joins_with_the_secret_that_is_made_and_delivered(
    operator: PodOperator, team: Tenant, declare: Declare
) -> None:
    token = declare("agents", team.namespace)
    token.apply(build_secret_spec(roles=("App",), ttl="1h"))
    token.wait_for("Synced")
    join_params = {"method": "token", "token_name": f"{TOKEN_FOLDER}/{TOKEN_FILE}"}
    pod = team.start("secret", token_secret=token.name, token_key="auth-token", join_params=join_params)
    team.wait_until_joined(pod)
    secret = operator.kubernetes.get("secret", token.name, team.namespace)
    value = base64.b64decode(secret["data"]["auth-token"]).decode()
    assert len(value) >= 32
    told = operator.logs + team.auth.log + operator.kubernetes.get_log(team.namespace, pod)
    assert value not in told + operator.kubernetes.kubectl(
        "describe", KIND, token.name, f"--namespace={team.namespace}"
    )
    token.delete()
    gone = ("get", "secret", token.name, f"--namespace={team.namespace}")
    wait_until(lambda: operator.kubernetes.try_kubectl(*gone).returncode != 0, "the Secret is gone", patience=PATIENCE)


def test_what_is_declared_while_auth_is_away_for_a_minute_is_made_up_for(
    tenant: Tenant, token: DeclaredToken, declare: Declare
) -> None:
    edited, deleted = declare(f"{token.name}-2"), declare(f"{token.name}-3")
    for each in (edited, deleted):
        each.apply(build_spec(f"elsewhere:{ACCOUNT}"))
        each.wait_for("Synced")
    with tenant.auth.away():
        over = datetime.now(UTC) + OUTAGE
        token.apply(admit(tenant))
        edited.apply(admit(tenant))
        deleted.delete_later()
        for each in (token, edited):
            each.wait_for("AuthUnreachable")
        deleted.wait_for("TokenRemains", "DeletionBlocked")
        wait_until(lambda: datetime.now(UTC) > over, "the outage has lasted", pause=PAUSE, patience=PATIENCE)
    for each in (token, edited):
        each.wait_for("Synced")
        found = each.find_token()
        assert found is not None
        assert found["spec"]["kubernetes"]["allow"] == [{"service_account": f"{tenant.namespace}:{ACCOUNT}"}]
    deleted.delete()
    assert deleted.find_token() is None
    tenant.wait_until_joined(tenant.start("app"))
