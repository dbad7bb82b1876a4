import pytest

from support.clock import FakeClock
from support.declared import KUBERNETES, build_object
from teleport_operator.server import build_pure_judges
from teleport_operator.stored_faults import find_fault

JUDGES = build_pure_judges(FakeClock())
SECRET = "the-name-is-the-secret-of-this-token"


def test_an_object_that_can_be_read_has_no_fault() -> None:
    assert find_fault(build_object(KUBERNETES), JUDGES) is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "spec"),
        ({"roles": ["Bot"], "secret": {}}, "bot_name"),
        ({"roles": ["Node"], "secret": {}, "ttl": "1h", "expires": "2030-01-01T00:00:00Z"}, "spec.ttl"),
        ({**KUBERNETES, "secret": {}}, "spec.secret"),
        ({"roles": ["App"], "join_method": "kubernetes"}, "spec.kubernetes"),
    ],
)
def test_an_object_that_rules_for_whole_objects_would_refuse_is_told_with_its_place(spec: object, said: str) -> None:
    fault = find_fault(build_object(spec, name="web", namespace="apps"), JUDGES)
    assert fault is not None
    assert fault.startswith("apps/")
    assert said in fault.partition(": ")[2]
    assert len(fault.splitlines()) == 1


@pytest.mark.parametrize("spec", [{"roles": []}, {"roles": [], "join_method": "token"}, "no mapping"])
def test_a_name_that_is_a_secret_is_masked(spec: object) -> None:
    fault = find_fault(build_object(spec, name=SECRET), JUDGES)
    assert fault is not None
    assert SECRET not in fault


def test_a_name_that_is_none_is_shown() -> None:
    fault = find_fault(build_object({"roles": [], "secret": {}}, name=SECRET), JUDGES)
    assert fault is not None
    assert SECRET in fault
