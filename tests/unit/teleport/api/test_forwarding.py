from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.api.forwarding import build_auth_preface, parse_auth_preface
from teleport.errors import BadParameter


@given(st.ip_addresses())
def test_what_a_proxy_writes_auth_reads(address: Any) -> None:
    read = parse_auth_preface(build_auth_preface(str(address)))
    assert ip_address(read) in (address, getattr(address, "ipv4_mapped", None))


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_has_one_spelling_so_that_limits_know_it_again(written: str, known: str) -> None:
    assert parse_auth_preface(build_auth_preface(written)) == known


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"to": "auth"},
        {"remote_addr": "192.0.2.1"},
        {"to": "app", "remote_addr": "192.0.2.1"},
        {"to": "auth", "remote_addr": "192.0.2.1", "further": 1},
        {"to": "auth", "remote_addr": ""},
        {"to": "auth", "remote_addr": "localhost"},
        {"to": "auth", "remote_addr": "192.0.2.1:443"},
        {"to": "auth", "remote_addr": "192.0.2.0/24"},
        {"to": "auth", "remote_addr": "192.0.2.1\n"},
        {"to": "auth", "remote_addr": 3221225985},
        {"to": "auth", "remote_addr": None},
        {"to": "auth", "remote_addr": ["192.0.2.1"]},
    ],
)
def test_whatever_is_no_address_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        parse_auth_preface(document)
