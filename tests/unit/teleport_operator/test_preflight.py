from typing import Any

import yaml

from support.declared import CRD_FILE
from teleport_operator.definition import find_gaps
from teleport_operator.preflight import OBJECT_RIGHTS, Check, Status, build_definition

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
