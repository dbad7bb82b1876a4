from datetime import timedelta
from pathlib import Path

import pytest

from teleport.config.load import load_settings
from teleport.config.settings import KeyPairFiles, ProxySettings, Settings
from teleport.config.start_flags import StartFlags
from teleport.errors import BadConfiguration
from teleport.resources.address import Address

HEAD = "version: v3\nteleport: {auth_server: auth}\nauth_service: {enabled: no}\nssh_service: {enabled: no}\n"


def load(section: str, flags: StartFlags | None = None) -> Settings:
    return load_settings(f"{HEAD}proxy_service: {section}\n", hostname="host", flags=flags or StartFlags())


def find_problems(section: str) -> tuple[str, ...]:
    with pytest.raises(BadConfiguration) as refusal:
        load(section)
    return refusal.value.problems


def test_a_proxy_has_defaults_for_everything() -> None:
    settings = load("{enabled: yes}")
    assert settings.is_proxy
    assert settings.proxy == ProxySettings(
        web_listen_addr=Address("0.0.0.0", 3080),
        public_addrs=(),
        keypairs=(),
        keypairs_reload_interval=timedelta(minutes=1),
        trust_x_forwarded_for=False,
    )
    assert settings.services[0].listen_addr == Address("0.0.0.0", 3080)


def test_every_key_arrives() -> None:
    settings = load(
        "{enabled: yes, web_listen_addr: ':443', public_addr: [p.example.com:443, p2.example.com],"
        " tunnel_public_addr: t.example.com:3024,"
        " https_keypairs: [{key_file: /k1, cert_file: /c1}, {key_file: /k2, cert_file: /c2}],"
        " https_keypairs_reload_interval: 0s, trust_x_forwarded_for: yes}"
    )
    assert settings.proxy == ProxySettings(
        web_listen_addr=Address("0.0.0.0", 443),
        public_addrs=(Address("p.example.com", 443), Address("p2.example.com", 3080)),
        tunnel_public_addrs=(Address("t.example.com", 3024),),
        keypairs=(KeyPairFiles(Path("/k1"), Path("/c1")), KeyPairFiles(Path("/k2"), Path("/c2"))),
        keypairs_reload_interval=timedelta(),
        trust_x_forwarded_for=True,
    )
    assert settings.services[0].public_addrs == settings.proxy.public_addrs
    assert settings.warnings == ()


def test_a_proxy_that_is_switched_off_is_none() -> None:
    assert not load_settings("proxy_service: {enabled: no}\n", hostname="host").is_proxy
    assert load_settings("", hostname="host").is_proxy


def test_the_address_to_listen_on_may_come_from_a_flag() -> None:
    flags = StartFlags(listen_ip="127.0.0.2")
    assert load("{enabled: yes}", flags).proxy.web_listen_addr == Address("127.0.0.2", 3080)
    assert load("{enabled: yes, web_listen_addr: ':443'}", flags).proxy.web_listen_addr == Address("0.0.0.0", 443)


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("{https_keypairs: [{key_file: /k}]}", "line 5: proxy_service.https_keypairs[].cert_file: is missing"),
        ("{https_keypairs: [{cert_file: /c}]}", "line 5: proxy_service.https_keypairs[].key_file: is missing"),
        ("{https_keypairs: [{key_file: k, cert_file: /c}]}", "expected an absolute path"),
        ("{https_keypairs: [/c]}", "expected a section"),
        ("{https_keypairs_reload_interval: 31d}", "expected from 0s to 720h0m0s"),
        ("{trust_x_forwarded_for: 10.0.0.0/8}", "trust_x_forwarded_for"),
        ("{web_listen_addr: 'https://x'}", "web_listen_addr"),
        ("{proxy_protocol: 'on'}", "not supported"),
        ("{unknown: x}", "unknown key"),
    ],
)
def test_what_is_wrong_is_named(section: str, problem: str) -> None:
    assert problem in find_problems(section)[0]


@pytest.mark.parametrize(
    "key", ["acme", "listen_addr", "tunnel_listen_addr", "kube_listen_addr", "ui", "peer_listen_addr"]
)
def test_what_has_no_effect_is_warned_of(key: str) -> None:
    (warning,) = load(f"{{enabled: yes, {key}: x}}").warnings
    assert warning == f"line 5: proxy_service.{key}: has no effect here"
