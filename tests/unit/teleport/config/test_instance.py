from datetime import timedelta
from pathlib import Path

import pytest

from support.configurations import NODE, PIN, find_problems, load
from teleport.backend.catalog import BACKENDS
from teleport.config.instance import _STORAGE_TYPES
from teleport.config.settings import ConnectionLimits, JoinParams, LogSettings, Rate, StorageSettings
from teleport.resources.address import Address

OTHER_PIN = "sha256:" + "f" * 64


def test_everything_that_holds_for_a_process_is_read() -> None:
    settings = load(
        NODE
        + """\
  nodename: graviton
  data_dir: /data
  pid_file: /run/x.pid
  advertise_ip: 10.1.0.5
  diag_addr: 127.0.0.1:3000
  log: {output: /var/log/teleport.log, severity: warn, format: {output: json, extra_fields: [level]}}
  storage: {type: memory, path: /data/backend}
"""
    )
    assert (settings.nodename, settings.data_dir, settings.pid_file) == ("graviton", Path("/data"), Path("/run/x.pid"))
    assert settings.advertise_ip == "10.1.0.5"
    assert settings.diag_addr == Address("127.0.0.1", 3000)
    assert settings.log == LogSettings(output="/var/log/teleport.log", severity="WARNING", format="json")
    assert settings.storage == StorageSettings(type="memory", path=Path("/data/backend"))


def test_empty_values_mean_none() -> None:
    settings = load(NODE + '  ca_pin: ""\n  diag_addr: ""\n  advertise_ip: ""\n')
    assert (settings.ca_pins, settings.diag_addr, settings.advertise_ip) == ((), None, None)


@pytest.mark.parametrize(
    "line",
    [
        "log: {output: nowhere}",
        "log: {severity: loud}",
        "log: {format: {output: xml}}",
        "storage: {type: etcd}",
        "nodename: 'a b'",
        "diag_addr: 'http://x'",
        "ca_pin: abc",
    ],
)
def test_what_cannot_be_is_refused(line: str) -> None:
    assert find_problems(NODE + f"  {line}\n")[0].startswith("line 6: teleport.")


def test_the_log_cannot_go_to_syslog_and_says_so() -> None:
    settings = load(NODE + "  log: {output: syslog}\n")
    assert settings.log.output == "stderr"
    assert "syslog is not supported" in settings.warnings[0]


def test_every_backend_can_be_configured() -> None:
    assert set(_STORAGE_TYPES.values()) == BACKENDS.keys()


def test_dir_is_an_older_word_for_sqlite() -> None:
    assert load(NODE + "  storage: {type: dir}\n").storage.type == "sqlite"


@pytest.mark.parametrize("key", ["ciphers", "kex_algos", "mac_algos", "ciphersuites", "ca_signature_algo"])
def test_a_choice_of_algorithms_is_refused_because_it_would_be_lost(key: str) -> None:
    assert "algorithms are fixed" in find_problems(NODE + f"  {key}: [x]\n")[0]


def test_audit_events_cannot_be_sent_elsewhere() -> None:
    assert "would not arrive" in find_problems(NODE + "  storage: {audit_events_uri: 'stdout://'}\n")[0]


def test_pins_are_one_or_several_values_or_files(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(OTHER_PIN + "\n")
    assert load(NODE + f"  ca_pin: {PIN}\n").ca_pins == (PIN,)
    assert load(NODE + f"  ca_pin: [{PIN}, {tmp_path}/pin]\n").ca_pins == (PIN, OTHER_PIN)
    assert load(NODE + f"  ca_pin: '{PIN},{OTHER_PIN}'\n").ca_pins == (PIN, OTHER_PIN)


def test_a_pin_in_a_missing_file_is_refused() -> None:
    assert "does not exist" in find_problems(NODE + "  ca_pin: /missing/pin\n")[0]


def test_auth_token_is_the_older_spelling_of_join_params() -> None:
    expected = JoinParams("token", "a-join-token")
    assert load(NODE + "  auth_token: a-join-token\n").join_params == expected
    assert load(NODE + "  join_params: {method: token, token_name: a-join-token}\n").join_params == expected
    assert load(NODE).join_params is None


def test_both_spellings_at_once_are_refused() -> None:
    text = NODE + "  auth_token: a-join-token\n  join_params: {method: token, token_name: a-join-token}\n"
    assert find_problems(text) == (
        "line 6: teleport.auth_token: stands beside join_params, which says the same in its newer form; keep one",
    )


def test_another_method_of_the_original_may_be_named() -> None:
    settings = load(NODE + "  join_params: {method: kubernetes, token_name: kubernetes-token}\n")
    assert settings.join_params == JoinParams("kubernetes", "kubernetes-token")


def test_an_unknown_method_is_refused() -> None:
    problems = find_problems(NODE + "  join_params: {method: magic, token_name: x}\n")
    assert problems[0].startswith("line 6: teleport.join_params.method: unknown join method")


@pytest.mark.parametrize(("given", "missing"), [("method: token", "token_name"), ("token_name: x", "method")])
def test_a_method_and_a_token_name_need_each_other(given: str, missing: str) -> None:
    problems = find_problems(NODE + f"  join_params: {{{given}}}\n")
    assert problems == (f"line 6: teleport.join_params.{missing}: is needed beside {given.partition(':')[0]}",)


@pytest.mark.parametrize("key", ["auth_token: PATH", "join_params: {method: token, token_name: PATH}"])
def test_a_token_may_be_in_a_file(key: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-join-token\n")
    path.chmod(0o600)
    settings = load(NODE + f"  {key.replace('PATH', str(path))}\n")
    assert settings.join_params == JoinParams("token", "a-join-token")
    assert settings.warnings == ()


def test_hostile_32_a_token_that_everybody_may_read_is_warned_of_by_line(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-join-token\n")
    path.chmod(0o644)
    (warning,) = load(NODE + f"  auth_token: {path}\n").warnings
    assert warning.startswith("line 6: teleport.auth_token: the file")
    assert "a-join-token" not in warning


def test_a_token_file_may_be_gone_once_the_process_has_joined() -> None:
    settings = load(NODE + "  auth_token: /missing/token\n")
    assert settings.join_params is None
    assert "'/missing/token' does not exist" in settings.warnings[0]


def test_hostile_32_a_token_in_a_device_is_refused() -> None:
    assert "not a regular file" in find_problems(NODE + "  auth_token: /dev/zero\n")[0]


def test_limits_are_read() -> None:
    limits = load(
        NODE
        + """\
  connection_limits:
    max_connections: 1000
    rates: [{period: 1m, average: 60, burst: 600}]
    refused_joins: {period: 1h, average: 1, burst: 2}
"""
    ).connection_limits
    assert limits.max_connections == 1000
    assert limits.anonymous_requests == Rate(timedelta(minutes=1), average=60, burst=600)
    assert limits.refused_joins == Rate(timedelta(hours=1), average=1, burst=2)


def test_limits_have_defaults() -> None:
    assert load(NODE + "  connection_limits: {}\n").connection_limits == ConnectionLimits()


def test_a_limit_of_nought_is_refused() -> None:
    assert "from 1 to" in find_problems(NODE + "  connection_limits: {max_connections: 0}\n")[0]
    assert load(NODE + "  connection_limits: {max_connections: 1}\n").connection_limits.max_connections == 1


@pytest.mark.parametrize("key", ["refused_joins: {period: 1m, average: 1}", "rates: [{period: 1m, average: 1}]"])
def test_half_a_rate_is_refused(key: str) -> None:
    assert find_problems(NODE + f"  connection_limits: {{{key}}}\n")[0].endswith(".burst: is missing")


def test_a_second_rate_is_refused_rather_than_lost() -> None:
    rate = "{period: 1m, average: 1, burst: 1}"
    assert "one rate" in find_problems(NODE + f"  connection_limits: {{rates: [{rate}, {rate}]}}\n")[0]
