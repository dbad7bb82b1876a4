import pytest

from teleport.errors import BadParameter
from teleport.resources.model import Metadata
from teleport.resources.user import User, UserSpec, check_user


def build(name: str = "alice", roles: tuple[str, ...] = ("access",)) -> User:
    return User(metadata=Metadata(name=name), spec=UserSpec(roles=roles))


@pytest.mark.parametrize("name", ["alice", "alice@example.com", "a" * 128, "Bob-1_2+x"])
def test_names_of_people_are_names(name: str) -> None:
    check_user(build(name))


@pytest.mark.parametrize("name", ["", "a" * 129, "-rf", "a,b", "a/b", "../x", "a b", "a\n", "é"])
def test_what_could_act_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(BadParameter, match="a user's name"):
        check_user(build(name))


def test_a_user_without_a_role_is_refused() -> None:
    with pytest.raises(BadParameter, match="at least one role"):
        check_user(build(roles=()))


def test_a_role_that_could_be_no_role_is_refused() -> None:
    with pytest.raises(BadParameter, match="a role's name"):
        check_user(build(roles=("access,editor",)))
