from datetime import timedelta
from pathlib import Path

import pytest

from support.configurations import AUTH, find_problems, load
from teleport.config.settings import HOST_CERT_TTL
from teleport.resources.address import Address
from teleport.resources.role import SystemRole


def section(*lines: str) -> str:
    return AUTH + "auth_service:\n" + "".join(f"  {line}\n" for line in lines)


def test_everything_of_an_auth_server_is_read() -> None:
    settings = load(
        section(
            "enabled: yes",
            "cluster_name: example.com",
            "listen_addr: 127.0.0.1:4025",
            "public_addr: [auth.example.com, 10.0.0.1:3026]",
            "seal: {key_file: /keys/seal}",
            "host_cert_ttl: 720h",
            "audit: {retention: 30d}",
        )
    )
    auth = settings.auth
    assert (auth.enabled, auth.cluster_name) == (True, "example.com")
    assert auth.listen_addr == Address("127.0.0.1", 4025)
    assert auth.public_addrs == (Address("auth.example.com", 3025), Address("10.0.0.1", 3026))
    assert auth.seal_key_file == Path("/keys/seal")
    assert (auth.host_cert_ttl, auth.audit_retention) == (timedelta(days=30), timedelta(days=30))
    assert settings.warnings == ()


def test_an_auth_server_has_defaults() -> None:
    auth = load(AUTH).auth
    assert auth.listen_addr == Address("0.0.0.0", 3025)
    assert (auth.cluster_name, auth.host_cert_ttl, auth.tokens) == (None, HOST_CERT_TTL, ())


def test_certificates_of_hosts_live_between_a_minute_and_ten_years() -> None:
    assert load(section("host_cert_ttl: 1m")).auth.host_cert_ttl == timedelta(minutes=1)
    assert load(section("host_cert_ttl: 3650d")).auth.host_cert_ttl == HOST_CERT_TTL
    assert find_problems(section("host_cert_ttl: 59s"))
    assert find_problems(section("host_cert_ttl: 3651d"))


def test_audit_events_are_kept_for_an_hour_at_least() -> None:
    assert load(section("audit: {retention: 1h}")).auth.audit_retention == timedelta(hours=1)
    assert find_problems(section("audit: {retention: 59m}"))


def test_static_tokens_are_values_and_files(tmp_path: Path) -> None:
    path = tmp_path / "tokenfile"
    path.write_text("token-of-a-file-1\ntoken-of-a-file-2\n")
    path.chmod(0o600)
    settings = load(section("tokens:", "- 'proxy,node:secret-token-value'", f"- 'auth:{path}'"))
    assert [(token.roles, token.token) for token in settings.auth.tokens] == [
        ((SystemRole.PROXY, SystemRole.NODE), "secret-token-value"),
        ((SystemRole.AUTH,), "token-of-a-file-1"),
        ((SystemRole.AUTH,), "token-of-a-file-2"),
    ]
    assert settings.warnings == ()


def test_a_static_token_that_is_too_short_is_refused_and_not_quoted() -> None:
    (problem,) = find_problems(section("tokens: ['node:shorty1']"))
    assert problem.startswith("line 5: auth_service.tokens: the token for node is shorter than 8")
    assert "shorty1" not in problem


def test_a_static_token_that_may_be_guessed_is_warned_of() -> None:
    assert "may be guessed" in load(section("tokens: ['node:shortish']")).warnings[0]


@pytest.mark.parametrize("path", ["/missing/file", "/dev/zero", "/"])
def test_hostile_32_static_tokens_in_what_is_no_file_are_refused(path: str) -> None:
    assert find_problems(section(f"tokens: ['auth:{path}']"))[0].startswith("line 5: auth_service.tokens: ")


@pytest.mark.parametrize(
    "line",
    [
        "authentication: {second_factors: [webauthn]}",
        "authentication: {locking_mode: strict}",
        "authentication: {require_session_mfa: yes}",
        "authentication: {device_trust: {mode: required}}",
        "authentication: {type: github}",
        "session_recording: node-sync",
        "client_idle_timeout: 30m",
        "disconnect_expired_cert: yes",
        "proxy_protocol: on",
        "ca_key_params: {pkcs11: {module_path: /x}}",
    ],
)
def test_a_promise_of_safety_that_would_not_be_kept_is_refused(line: str) -> None:
    assert find_problems(section(line))[0].startswith("line 5: auth_service.")


@pytest.mark.parametrize(
    "line",
    [
        "authentication: {type: local, second_factor: off}",
        "session_recording: off",
        "client_idle_timeout: never",
        "disconnect_expired_cert: no",
        "proxy_protocol: off",
    ],
)
def test_what_asks_for_nothing_is_accepted(line: str) -> None:
    assert load(section(line)).warnings == ()


def test_a_seal_key_has_an_absolute_path() -> None:
    assert "absolute path" in find_problems(section("seal: {key_file: seal.key}"))[0]


@pytest.mark.parametrize("line", ["cluster_name: 'a b'", "listen_addr: 'tcp://x'", "public_addr: ['']"])
def test_names_and_addresses_are_checked(line: str) -> None:
    assert find_problems(section(line))
