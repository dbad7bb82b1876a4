import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from support.configurations import NODE, PIN, load
from teleport.cli.teleport.configure import configure
from teleport.cli.teleport.configuring import needs_sudo
from teleport.errors import AlreadyExists, BadParameter, TeleportError

CASES = yaml.safe_load((Path(__file__).parents[4] / "cases" / "config.yaml").read_text())["configure"]
GUIDE = ["--roles=node", "--token=join-token", "--auth-server=auth.example.com:3025"]


def run(*args: str) -> Result:
    return CliRunner(env={"SUDO_USER": None}).invoke(configure, list(args))


def dig(document: Any, path: str) -> object:
    for key in path.split("."):
        document = document[key]
    return document


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_original_cases(case: dict[str, Any]) -> None:
    result = run(*case["args"])
    if "error" in case:
        assert isinstance(result.exception, TeleportError)
        assert result.exception.code == case["error"]
        assert case["why"] in result.exception.message
        return
    written = yaml.safe_load(result.stdout)
    assert {path: dig(written, path) for path in case["yaml"]} == case["yaml"]


def test_the_sed_line_of_the_guide_puts_the_pin_in(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    assert run(*GUIDE, "-o", f"file://{path}").exit_code == 0
    subprocess.run(["sed", "-i", f's|  ca_pin: ""|  ca_pin: "{PIN}"|', str(path)], check=True)
    settings = load(path.read_text())
    assert settings.ca_pins == (PIN,)
    assert settings.warnings == ()


def test_the_file_is_for_its_owner_alone_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    result = run(*GUIDE, f"--data-dir={tmp_path}/data", "-o", f"file://{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert f"written to {path}" in result.stdout
    assert f"  teleport start --config={path}\n" in result.stdout
    assert "join-token" not in result.output


def test_a_path_with_a_blank_is_quoted_in_the_command(tmp_path: Path) -> None:
    result = run(*GUIDE, f"--data-dir={tmp_path}", "-o", f"file://{tmp_path}/my%20file.yaml")
    assert f"teleport start --config='{tmp_path}/my file.yaml'\n" in result.stdout


@pytest.mark.parametrize(("environ", "expected"), [({}, False), ({"SUDO_USER": "alice"}, True)])
def test_root_needs_sudo_only_where_somebody_used_it(environ: dict[str, str], expected: bool) -> None:
    assert needs_sudo(Path("/var/lib/teleport"), environ, user_id=0) is expected


def test_others_need_sudo_where_they_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def access(path: Path, mode: int) -> bool:
        asked.append(path)
        return path.exists() if mode == os.F_OK else path == tmp_path

    monkeypatch.setattr("os.access", access)
    assert not needs_sudo(tmp_path / "a" / "b", {}, user_id=1000)
    assert needs_sudo(Path("/a/b"), {}, user_id=1000)
    assert asked[-1] == Path("/")


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    path.write_text("mine")
    result = run(*GUIDE, "-o", f"file://{path}")
    assert isinstance(result.exception, AlreadyExists)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    link = tmp_path / "teleport.yaml"
    link.symlink_to(tmp_path / "elsewhere")
    assert isinstance(run(*GUIDE, "-o", f"file://{link}").exception, AlreadyExists)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    result = run(*GUIDE, "-o", f"file://{tmp_path}/missing/teleport.yaml")
    assert isinstance(result.exception, BadParameter)
    assert "cannot write" in result.exception.message


def test_silent_says_nothing(tmp_path: Path) -> None:
    assert run(*GUIDE, "--silent", "-o", f"file://{tmp_path}/teleport.yaml").output == ""


def test_what_is_still_to_do_is_warned_of_on_stderr() -> None:
    assert "no CA pin" in run(*GUIDE).stderr
    assert "the cluster's address is missing" in run("--roles=node").stderr
    assert "shorter than 8" in run("--roles=node", "--token=t", "--proxy=p").stderr
    assert run("--roles=auth").stderr == ""


@pytest.mark.parametrize("token", ["", "a\nb", "a\0b", "a\rb", "a\x1b[2J", "x" * 1025])
def test_hostile_31_a_token_that_could_act_is_a_usage_error(token: str) -> None:
    result = run("--roles=node", f"--token={token}", "--auth-server=auth")
    assert result.exit_code == 2


@pytest.mark.parametrize(
    "token", ["-leading-dash", "%0d%0a-token", "'quoted'", '"quoted"', "a: b # c", "!tag", "*x", "yes"]
)
def test_hostile_31_a_token_with_a_meaning_elsewhere_is_quoted(token: str) -> None:
    result = run("--roles=node", f"--token={token}", "--auth-server=auth")
    settings = load(result.stdout)
    assert settings.join_params is not None
    assert settings.join_params.token_name == token


@pytest.mark.parametrize(
    "args",
    [
        ["--roles=nod"],
        ["--roles=bot"],
        ["--output=somewhere"],
        ["--output=http://x/y"],
        ["--node-labels=env"],
        ["--node-name=a b"],
        ["--auth-server=https://x"],
        ["--data-dir=relative"],
        ["--version=v4"],
        ["--app-name=A", "--app-uri=http://a"],
        ["--ca-pin=sha256:x"],
    ],
)
def test_an_answer_that_cannot_be_is_a_usage_error(args: list[str]) -> None:
    assert run(*args).exit_code == 2


def test_a_proxy_and_an_auth_server_exclude_each_other() -> None:
    assert isinstance(run("--proxy=p", "--auth-server=a").exception, BadParameter)


def test_a_good_configuration_passes_the_test(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    path.write_text(NODE)
    result = run("--test", str(path))
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{path} is valid\n", "")


def test_a_bad_configuration_fails_the_test_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    path.write_text(NODE + "  nodenam: x\n  ca_pin: abc\n")
    result = run("--test", str(path))
    assert result.exit_code == 1
    assert result.stdout == ""
    unknown, no_pin = result.stderr.splitlines()
    assert unknown == f"ERROR: {path}: line 6: teleport.nodenam: unknown key; did you mean nodename?"
    assert no_pin.startswith(f"ERROR: {path}: line 7: teleport.ca_pin: not a CA pin; expected sha256:")


def test_a_configuration_that_is_not_there_fails_the_test() -> None:
    result = run("--test", "/missing/teleport.yaml")
    assert result.exit_code == 1
    assert "does not exist" in result.stderr


def test_warnings_do_not_fail_the_test(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    path.write_text(NODE + "  cache: {enabled: yes}\n")
    result = run("--test", str(path))
    assert result.exit_code == 0
    assert result.stderr == f"WARNING: {path}: line 6: teleport.cache: has no effect here\n"
