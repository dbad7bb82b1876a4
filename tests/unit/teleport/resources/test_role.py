from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole, parse_role, parse_roles, unique_roles


def test_ten_roles_are_of_services() -> None:
    names = {"Auth", "Proxy", "Node", "Kube", "App", "Db", "WindowsDesktop", "Discovery", "Okta", "MDM"}
    assert {role.value for role in LOCAL_SERVICE_ROLES} == names


def test_the_order_of_roles_is_kept() -> None:
    assert parse_roles("node,app,db") == (SystemRole.NODE, SystemRole.APP, SystemRole.DB)
    assert unique_roles([]) == ()


@given(st.text(max_size=40))
def test_any_text_is_a_role_or_refused(text: str) -> None:
    try:
        role = parse_role(text)
    except BadParameter as error:
        assert len(error.message) < 400  # noqa: PT017 - either is fine
        return
    assert text.strip().lower().replace("_", "") == role.value.lower().replace("_", "")
