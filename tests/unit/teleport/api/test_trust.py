import asyncio
import ssl
from typing import Any

import pytest

from support import x509
from support.clock import FakeClock
from support.x509 import CLUSTER, NOW, build_authority, build_host_template
from teleport.api.trust import SERVER_NAME, KnownAuthority, PinnedConnection
from teleport.errors import BadParameter, ConnectionFailed, TrustError
from teleport.pki.names import API_DOMAIN
from teleport.pki.pins import ca_pin
from teleport.resources.role import SystemRole


class Connection(asyncio.Transport):
    """A connection on which a server has shown a certificate."""

    def __init__(self, der: bytes) -> None:
        super().__init__()
        self.is_open = True
        self._der = der

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "ssl_object" else default

    def getpeercert(self, *, binary_form: bool) -> bytes:
        assert binary_form
        return self._der

    def close(self) -> None:
        self.is_open = False

    def abort(self) -> None:
        self.is_open = False


def show(authority: x509.Authority, role: SystemRole = SystemRole.AUTH) -> Connection:
    names = (f"*.{API_DOMAIN}", API_DOMAIN) if role is SystemRole.AUTH else ()
    return Connection(authority.issue_der(build_host_template(role, dns_names=names)))


def verify(trust: PinnedConnection, *authorities: x509.Authority) -> None:
    trust.verify([authority.pem for authority in authorities], cluster_name=CLUSTER, clock=FakeClock(NOW))


def test_a_server_whose_ca_is_pinned_is_trusted() -> None:
    authority = build_authority()
    trust = PinnedConnection([ca_pin(authority.pem)])
    trust.check(show(authority))
    verify(trust, authority)
    assert trust.request_options() == {"ssl": trust}


def test_hostile_50_a_wrong_pin_is_refused() -> None:
    authority = build_authority()
    trust = PinnedConnection([ca_pin(build_authority().pem)])
    trust.check(show(authority))
    with pytest.raises(TrustError, match="none of the CA pins given"):
        verify(trust, authority)


def test_hostile_50_the_right_ca_shown_by_somebody_else_is_refused() -> None:
    pinned, impostor = build_authority(), build_authority()
    trust = PinnedConnection([ca_pin(pinned.pem)])
    trust.check(show(impostor))
    with pytest.raises(TrustError, match="is not trusted"):
        verify(trust, pinned)


def test_hostile_50_during_a_rotation_every_ca_must_be_pinned() -> None:
    old, new = build_authority(), build_authority()
    trust = PinnedConnection([ca_pin(old.pem)])
    trust.check(show(old))
    with pytest.raises(TrustError):
        verify(trust, old, new)
    both = PinnedConnection([ca_pin(old.pem), ca_pin(new.pem)])
    both.check(show(old))
    verify(both, old, new)


def test_an_agent_that_poses_as_the_server_is_refused() -> None:
    authority = build_authority()
    trust = PinnedConnection([ca_pin(authority.pem)])
    trust.check(show(authority, SystemRole.NODE))
    with pytest.raises(TrustError, match="not that of an auth server"):
        verify(trust, authority)


def test_a_second_connection_is_closed_before_anything_is_sent() -> None:
    authority = build_authority()
    trust = PinnedConnection([ca_pin(authority.pem)])
    trust.check(show(authority))
    second = show(authority)
    with pytest.raises(TrustError, match="start over"):
        trust.check(second)
    assert not second.is_open


def test_without_a_connection_there_is_nothing_to_verify() -> None:
    with pytest.raises(TrustError, match="no connection"):
        verify(PinnedConnection([]), build_authority())


def test_a_malformed_pin_is_named_as_such() -> None:
    authority = build_authority()
    trust = PinnedConnection(["md5:abc"])
    trust.check(show(authority))
    with pytest.raises(BadParameter, match="sha256"):
        verify(trust, authority)


def test_without_pins_whoever_answers_must_at_least_be_of_one_piece() -> None:
    authority = build_authority()
    trust = PinnedConnection([])
    trust.check(show(authority))
    verify(trust, authority)
    with pytest.raises(TrustError):
        verify(trust, build_authority())


def test_a_known_authority_is_followed_by_new_connections() -> None:
    first, second = ssl.create_default_context(), ssl.create_default_context()
    trust = KnownAuthority(first)
    assert trust.request_options() == {"ssl": first, "server_hostname": SERVER_NAME}
    trust.replace(second)
    assert trust.request_options()["ssl"] is second


def test_behind_a_proxy_only_an_auth_server_of_the_known_authority_will_do() -> None:
    authority = build_authority()
    trust = KnownAuthority(ssl.create_default_context())
    connection = show(authority)
    trust.check(connection)
    assert connection.is_open


@pytest.mark.parametrize("role", [SystemRole.PROXY, SystemRole.NODE, SystemRole.ADMIN])
def test_hostile_50_behind_a_proxy_another_member_is_no_auth_server(role: SystemRole) -> None:
    trust = KnownAuthority(ssl.create_default_context())
    connection = show(build_authority(), role)
    with pytest.raises(TrustError):
        trust.check(connection)
    assert not connection.is_open


def test_a_server_that_breaks_off_after_the_handshake_is_an_error_of_ours() -> None:
    class Broken(Connection):
        def getpeercert(self, *, binary_form: bool) -> bytes:
            raise ValueError(f"handshake not done yet {binary_form}")

    for trust in (KnownAuthority(ssl.create_default_context()), PinnedConnection(())):
        with pytest.raises(ConnectionFailed, match="broke off"):
            trust.check(Broken(b""))


def test_a_context_stays_the_same_while_trust_does() -> None:
    known = KnownAuthority(ssl.create_default_context())
    assert known.build_context() is known.build_context()
    pinned = PinnedConnection(())
    assert pinned.build_context() is pinned.build_context()
    assert pinned.build_context().verify_mode is ssl.CERT_NONE
