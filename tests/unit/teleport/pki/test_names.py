import pytest

from support.x509 import HOST_ID, OTHER_HOST_ID
from teleport.errors import BadParameter
from teleport.pki.names import MAX_NAMES, parse_address, parse_host_name, parse_host_names, parse_node_name


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("node1", "node1"),
        ("Node1.Example.COM", "node1.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("412036589741", "412036589741"),
        (HOST_ID, HOST_ID),
        (f"{HOST_ID}.example.com", f"{HOST_ID}.example.com"),
        ("x" * 63, "x" * 63),
        (".".join(["x" * 62] * 4) + ".x", ".".join(["x" * 62] * 4) + ".x"),
        ("notteleport.cluster.local", "notteleport.cluster.local"),
    ],
)
def test_plain_names_and_addresses_are_given(asked: str, given: str) -> None:
    assert parse_host_name(asked, host_id=HOST_ID) == given


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "a.",
        "-a",
        "a-",
        "a b",
        "a_b",
        "a,b",
        "a\n",
        "*",
        "*.example.com",
        "node?",
        "!node",
        "a\x00b",
        "ex\u00e4mple.com",
        "xn--80ak6aa92e.com",
        "spiffe://example.com/auth",
        "node:3022",
        "[::1]",
        "fe80::1%eth0",
        "1.2.3",
        "256.1.1.1",
        "x" * 64,
        ".".join(["x" * 62] * 4) + ".xx",
    ],
)
def test_hostile_36_what_is_no_plain_name_is_refused(name: str) -> None:
    with pytest.raises(BadParameter):
        parse_host_name(name, host_id=HOST_ID)


@pytest.mark.parametrize(
    "name",
    [
        "teleport.cluster.local",
        "TELEPORT.cluster.LOCAL",
        "auth.teleport.cluster.local",
        "6578.teleport.cluster.local",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "kubernetes",
        OTHER_HOST_ID,
        OTHER_HOST_ID.upper(),
        f"{OTHER_HOST_ID}.example.com",
    ],
)
def test_hostile_36_reserved_names_and_other_hosts_ids_are_refused(name: str) -> None:
    with pytest.raises(BadParameter, match=r"reserved|another host"):
        parse_host_name(name, host_id=HOST_ID)


def test_names_are_given_once_and_in_order() -> None:
    names = parse_host_names(["b", "a", "B", "10.0.0.1", "10.0.0.1"], host_id=HOST_ID, remote_addr="")
    assert names == ("b", "a", "10.0.0.1")


@pytest.mark.parametrize("unspecified", ["0.0.0.0", "::"])
def test_the_unspecified_address_becomes_the_remote_one(unspecified: str) -> None:
    assert parse_host_names(["a", unspecified], host_id=HOST_ID, remote_addr="192.0.2.7") == ("a", "192.0.2.7")


def test_the_unspecified_address_vanishes_where_nothing_takes_its_place() -> None:
    assert parse_host_names(["a", "0.0.0.0"], host_id=HOST_ID, remote_addr="") == ("a",)


def test_the_number_of_names_is_bounded() -> None:
    names = [f"node{number}" for number in range(MAX_NAMES)]
    assert len(parse_host_names(names, host_id=HOST_ID, remote_addr="")) == MAX_NAMES
    with pytest.raises(BadParameter, match="more than"):
        parse_host_names([*names, "one-more"], host_id=HOST_ID, remote_addr="")


def test_a_name_is_no_address() -> None:
    assert parse_address("node1") is None
    assert parse_address("1" * 300) is None


def test_a_container_s_own_name_may_have_underscores() -> None:
    assert parse_node_name("My_App_1", host_id=HOST_ID) == "my_app_1"


@pytest.mark.parametrize("name", ["*_x", "a b_c", "teleport.cluster.local", "_" * 300, "xn--a_b"])
def test_underscores_open_no_way_for_other_characters(name: str) -> None:
    with pytest.raises(BadParameter):
        parse_node_name(name, host_id=HOST_ID)
