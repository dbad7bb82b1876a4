from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from support.clock import START, FakeClock
from support.declared import CRD_FILE, KUBERNETES, build_object
from teleport.api.identity import Identity
from teleport.errors import JoinRefused, TeleportError
from teleport.kube.api import KubeApi
from teleport.kube.connection import KubeConnection, Question
from teleport.kube.custom_objects import CustomObjects, RawObject
from teleport.kube.errors import Forbidden, Missing, NoAnswer
from teleport.kube.objects import AccessAnswer
from teleport.kube.server_version import ServerVersion, parse_version
from teleport.resources.address import Address
from teleport_operator.definition import find_gaps
from teleport_operator.identity import IdentitySource
from teleport_operator.preflight import MAX_FAULTS, MEND, OBJECT_RIGHTS, Check, Preflight, Status, build_definition
from teleport_operator.server import build_pure_judges
from teleport_operator.server_clock import MAX_SKEW
from teleport_operator.settings import OperatorSettings

STATUS_PATH = "/apis/resources.teleport.dev/v2/namespaces/{namespace}/teleportprovisiontokens/{name}/status"


def publish(*, has_status: bool = True) -> dict[str, Any]:
    """Return our definition as an API server publishes it."""
    schema = yaml.safe_load(CRD_FILE.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    name = "dev.teleport.resources.v2.TeleportProvisionToken"
    paths: dict[str, Any] = {STATUS_PATH: {}} if has_status else {}
    return {"components": {"schemas": {f"{name}List": {}, name: schema}}, "paths": paths}


def test_our_own_definition_lacks_nothing() -> None:
    assert find_gaps(build_definition(publish())) == ()


def test_what_a_definition_lacks_is_named() -> None:
    document = publish()
    schema = document["components"]["schemas"]["dev.teleport.resources.v2.TeleportProvisionToken"]
    del schema["properties"]["spec"]["properties"]["ttl"]
    assert find_gaps(build_definition(document)) == ("spec.ttl is not known",)
    assert "there is no subresource status" in find_gaps(build_definition(publish(has_status=False)))


def test_where_nothing_is_published_much_is_lacking() -> None:
    assert find_gaps(build_definition({}))


def test_a_check_is_a_line_and_its_remedy_another() -> None:
    assert str(Check("lease", Status.OK, "held")) == "ok       lease        held"
    assert str(Check("lease", Status.MISSING, "none", "grant it")).splitlines()[1].strip() == "grant it"


def test_rights_are_named_as_people_name_them() -> None:
    assert str(OBJECT_RIGHTS[0]) == "get teleportprovisiontokens"


@dataclass(slots=True)
class FakeKubernetes:
    """An API server where nothing is wrong but what a test says, and an auth server that admits nobody."""

    version: str = "v1.34.4"
    time: datetime | None = START
    is_known: bool = True
    is_away: bool = False
    forbidden: set[str] = field(default_factory=set)
    objects: Sequence[RawObject] = ()
    lists: TeleportError | None = None
    """Why objects cannot be listed."""
    identity_file: Path | None = None

    async def get_version(self) -> ServerVersion:
        if self.is_away:
            raise NoAnswer("nobody is there")
        return parse_version(self.version)

    async def get_time(self) -> datetime | None:
        return self.time

    async def review_own_access(
        self, verb: str, _group: str, resource: str, *, namespace: str = "", name: str = ""
    ) -> AccessAnswer:
        return AccessAnswer(f"{verb} {resource} {namespace} {name}".strip() not in self.forbidden, "")

    async def call(self, _: Question) -> dict[str, Any]:
        if not self.is_known:
            raise Missing("there is no such page")
        return publish()

    async def list_objects(self, namespace: str) -> AsyncIterator[RawObject]:
        if self.lists is not None:
            raise self.lists
        for raw in self.objects:
            if raw["metadata"]["namespace"] == namespace:
                yield raw

    async def get(self) -> Identity:
        raise JoinRefused("no_rule_matched", "no rule admits it")

    async def check(self) -> dict[str, Check]:
        """Return what a preflight finds, by name."""
        return {check.name: check for check in await self.check_all()}

    async def check_all(self) -> list[Check]:
        """Return what a preflight finds, in its order."""
        settings = OperatorSettings(
            auth_server=Address("127.0.0.1", 1),
            namespace="teleport",
            namespaces=("apps",),
            identity_file=self.identity_file,
        )
        preflight = Preflight(
            settings,
            api=cast("KubeApi", self),
            connection=cast("KubeConnection", self),
            objects=cast("CustomObjects", self),
            judges=build_pure_judges(FakeClock()),
            source=cast("IdentitySource", self),
            clock=FakeClock(),
        )
        return [check async for check in preflight.run()]


async def test_where_nothing_is_missing_every_check_says_so_and_has_no_remedy() -> None:
    checks = await FakeKubernetes().check()
    assert list(checks) == ["version", "clock", "definition", "rights", "lease", "objects", "join"]
    assert {check.status for name, check in checks.items() if name != "join"} == {Status.OK}
    assert not any(check.remedy for name, check in checks.items() if name != "join")


@pytest.mark.parametrize(("version", "status"), [("v1.29.9", Status.WARNING), ("v1.30.0", Status.OK)])
async def test_kubernetes_whose_rules_for_whole_objects_are_missing_is_warned_of(version: str, status: Status) -> None:
    check = (await FakeKubernetes(version=version).check())["version"]
    assert check.status is status
    assert ("1.30 or later" in check.remedy) == (status is Status.WARNING)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("skew", "status"), [(MAX_SKEW, Status.OK), (MAX_SKEW + timedelta(seconds=1), Status.WARNING)])
async def test_a_clock_that_is_off_either_way_is_warned_of(skew: timedelta, status: Status, sign: int) -> None:
    check = (await FakeKubernetes(time=START + sign * skew).check())["clock"]
    assert check.status is status
    assert ("NTP" in check.remedy) == (status is Status.WARNING)


async def test_an_api_server_without_a_clock_is_warned_of() -> None:
    assert (await FakeKubernetes(time=None).check())["clock"].status is Status.WARNING


async def test_a_cluster_that_does_not_know_the_kind_is_told_what_to_apply() -> None:
    check = (await FakeKubernetes(is_known=False).check())["definition"]
    assert (check.status, check.remedy) == (Status.MISSING, "kubectl apply --server-side -f crds/")


@pytest.mark.parametrize(("right", "where"), [(f"{each} apps", "rights") for each in map(str, OBJECT_RIGHTS)])
async def test_each_right_in_a_namespace_is_asked_for(right: str, where: str) -> None:
    check = (await FakeKubernetes(forbidden={right}).check())[where]
    assert check.status is Status.MISSING
    assert check.finding == f"may not {right.removesuffix(' apps')} in namespace apps"


@pytest.mark.parametrize(
    "right", ["create leases teleport", *(f"{verb} leases teleport teleport-operator" for verb in ("get", "update"))]
)
async def test_each_right_to_the_one_lease_is_asked_for(right: str) -> None:
    check = (await FakeKubernetes(forbidden={right}).check())["lease"]
    assert check.status is Status.MISSING
    assert right.split(maxsplit=1)[0] in check.finding
    assert "operator/deploy/account.yaml" in check.remedy


async def test_without_an_api_server_auth_is_looked_at_all_the_same() -> None:
    checks = await FakeKubernetes(is_away=True).check()
    assert list(checks) == ["api server", "join"]
    assert checks["api server"].finding == "nobody is there"


async def test_an_auth_server_that_does_not_admit_the_operator_is_named() -> None:
    check = (await FakeKubernetes().check())["join"]
    assert check.status is Status.MISSING
    assert check.finding.startswith("127.0.0.1:1: ")
    assert "tctl tokens uses" in check.remedy


async def test_who_gives_an_identity_file_is_told_of_that_and_not_of_the_token_resource() -> None:
    check = (await FakeKubernetes(identity_file=Path("admin.identity")).check())["join"]
    assert "tctl auth sign" in check.remedy
    assert "token resource" not in check.remedy


TWO_ENDS = {**KUBERNETES, "ttl": "1h", "expires": "2030-01-01T00:00:00Z"}


async def test_each_object_that_rules_for_whole_objects_would_refuse_is_a_line_with_its_remedy() -> None:
    sound = build_object(KUBERNETES, name="sound", namespace="apps")
    objects = [sound, *(build_object(TWO_ENDS, name=name, namespace="apps") for name in ("one", "other"))]
    checks = [each for each in await FakeKubernetes(version="v1.29.9", objects=objects).check_all() if each.remedy]
    assert [check.name for check in checks] == ["version", "object", "object", "join"]
    assert checks[1].finding.startswith("apps/one of ")
    assert "spec.ttl" in checks[1].finding
    assert checks[2].finding.startswith("apps/other of ")
    assert {(check.status, check.remedy) for check in checks[1:3]} == {(Status.WARNING, MEND)}


async def test_objects_of_other_namespaces_are_nobody_s_business() -> None:
    checks = await FakeKubernetes(objects=[build_object(TWO_ENDS, namespace="elsewhere")]).check()
    assert checks["objects"].finding == "all 0 can be read"


@pytest.mark.parametrize("more", [0, 1])
async def test_so_many_objects_are_named_and_the_others_counted(more: int) -> None:
    objects = [build_object(TWO_ENDS, name=f"object-{each}", namespace="apps") for each in range(MAX_FAULTS + more)]
    found = [check.finding for check in await FakeKubernetes(objects=objects).check_all() if check.name == "object"]
    assert len(found) == MAX_FAULTS + more
    assert [text for text in found if "more cannot be read" in text] == ["1 more cannot be read"] * more


@pytest.mark.parametrize("error", [Missing("there is no such page"), Forbidden("it is forbidden")])
async def test_objects_that_cannot_be_listed_are_another_check_s_business(error: TeleportError) -> None:
    checks = await FakeKubernetes(lists=error).check()
    assert list(checks) == ["version", "clock", "definition", "rights", "lease", "join"]
