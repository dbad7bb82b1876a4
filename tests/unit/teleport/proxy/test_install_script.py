import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport.proxy.install_script import MAX_VALUE, TEMPLATE, fill, render_failure, render_install_script
from teleport.resources.address import Address
from teleport.version import VERSION

CHECKSUM = "0123456789abcdef" * 4
PRINTABLE = st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=200)
HOSTILE = (
    "$(touch /tmp/x)",
    "`id`",
    "'; id; '",
    '"; id; "',
    "-rf",
    "%0d%0a",
    "\\",
    "@URL@",
    "a b",
    "!!",
    "${HOME}",
    "*",
)


def render(host: str = "proxy.example.com", *, insecure: bool = False, checksum: str = CHECKSUM) -> str:
    return render_install_script(proxy=Address(host, 443), checksums={"amd64": checksum}, insecure=insecure)


def run_shell(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", *flags], input=script, capture_output=True, text=True, timeout=60, check=False)


def test_the_script_names_its_proxy_and_version_and_checksum() -> None:
    script = render()
    for line in ("url=https://proxy.example.com:443/v1/webapi/dist", f"version={VERSION}", "insecure=''", CHECKSUM):
        assert line in script
    assert "insecure=yes" in render(insecure=True)


def test_every_placeholder_is_filled() -> None:
    assert "@" not in render()


@pytest.mark.parametrize("host", ["proxy.example.com", "2001:db8::1", "fe80::1%$(id)", "-x"])
def test_hostile_31_whatever_the_address_it_is_one_word_of_a_script_that_parses(host: str) -> None:
    assert run_shell(render(host), "-n").returncode == 0


@pytest.mark.parametrize("value", ["line\nid", "nul\0", "\x1b[31m", "x" * (MAX_VALUE + 1)])
def test_hostile_31_a_value_that_is_not_one_short_line_is_refused(value: str) -> None:
    with pytest.raises(BadParameter):
        fill("echo @VALUE@", {"VALUE": value})


def test_a_value_of_the_greatest_length_is_taken() -> None:
    assert fill("@VALUE@", {"VALUE": "x" * MAX_VALUE}) == "x" * MAX_VALUE


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_31_a_shell_sees_a_value_as_it_is(value: str) -> None:
    assert run_shell(fill("printf '%s' @VALUE@", {"VALUE": value})).stdout == value


@given(PRINTABLE)
def test_hostile_31_a_shell_sees_any_value_as_it_is(value: str) -> None:
    done = subprocess.run(
        ["sh"], input=fill("printf '%s' @VALUE@", {"VALUE": value}).encode(), capture_output=True, check=True
    )
    assert done.stdout == value.encode()


@pytest.mark.parametrize("checksum", ["", "0" * 63, "0" * 65, "g" * 64, f"{'0' * 63}\n"])
def test_what_is_no_checksum_is_refused(checksum: str) -> None:
    with pytest.raises(BadParameter):
        render(checksum=checksum)


@pytest.mark.parametrize("message", ["it's not here", "$(id) `id`", "two\nlines", "x" * (MAX_VALUE + 1)])
def test_a_failure_is_a_script_that_prints_the_error_and_fails(message: str) -> None:
    done = run_shell(render_failure(message))
    shown = message[:MAX_VALUE].replace("\n", "?")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {shown}\n")


def test_a_script_that_is_cut_off_does_nothing(tmp_path: Path) -> None:
    script = render()
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("curl", "wget", "id", "mktemp"):
        (tools / tool).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tools / tool).chmod(0o755)
    for end in range(0, len(script) - len("install_teleport\n"), 97):
        subprocess.run(
            ["/bin/sh"], input=script[:end], text=True, capture_output=True, env={"PATH": str(tools)}, check=False
        )
    assert not (tmp_path / "ran").exists()


def test_the_template_asks_no_other_host() -> None:
    assert [line for line in TEMPLATE.read_text().splitlines() if "http" in line and "PROXY" not in line] == [
        line for line in TEMPLATE.read_text().splitlines() if "--proto" in line or "--https-only" in line
    ]
