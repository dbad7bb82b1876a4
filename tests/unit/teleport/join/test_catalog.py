import pytest

from support.auth import CLUSTER
from support.clock import FakeClock
from teleport.errors import NotSupported
from teleport.join.catalog import METHODS, build_judges, find_method
from teleport.join.method import JudgeContext
from teleport.resources.token import METHODS_OF_THE_ORIGINAL


def test_every_method_has_both_halves() -> None:
    judges = build_judges(JudgeContext(cluster_name=CLUSTER, clock=FakeClock()))
    assert set(judges) == set(METHODS)
    assert all(callable(find_method(name).prove) for name in METHODS)


def test_every_method_is_one_of_the_originals() -> None:
    assert set(METHODS) <= METHODS_OF_THE_ORIGINAL


@pytest.mark.parametrize("name", sorted(METHODS_OF_THE_ORIGINAL - set(METHODS)))
def test_a_method_that_is_not_here_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotSupported, match=f"join method '{name}' is not supported"):
        find_method(name)
