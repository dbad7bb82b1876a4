import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport.resources.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("auth", "auth", 3025),
        ("auth.example.com:443", "auth.example.com", 443),
        (" auth:1 ", "auth", 1),
        ("192.0.2.7:3025", "192.0.2.7", 3025),
        (":3025", "0.0.0.0", 3025),
        ("[::1]:80", "::1", 80),
        ("[::1]", "::1", 3025),
        ("[::1]:", "::1", 3025),
        ("::1", "::1", 3025),
        ("fe80::1%eth0", "fe80::1%eth0", 3025),
        ("auth:0", "auth", 0),
        ("auth:65535", "auth", 65535),
        ("a" * 253, "a" * 253, 3025),
    ],
)
def test_addresses_as_people_type_them(text: str, host: str, port: int) -> None:
    assert parse_address(text, 3025) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 254,
        "https://auth:3025",
        "auth/path",
        "a b",
        "[::1",
        "[::1]3025",
        "[::1]x:1",
        "[auth]:3025",
        "[]:1",
        "a:b:c",
        "1:2:3",
        "au\nth",
        "fe80::1%a]b",
        "user@auth",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_address(text, 3025)


@pytest.mark.parametrize("port", ["65536", "-1", "x", "1.5", "٣", "9" * 5000, "0x50"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(BadParameter, match="no valid port"):
        parse_address(f"auth:{port}", 3025)


@given(st.text(max_size=80))
def test_any_text_is_an_address_that_reads_back_or_is_refused(text: str) -> None:
    try:
        address = parse_address(text, 3025)
    except BadParameter:
        return
    assert parse_address(str(address), 1) == address
