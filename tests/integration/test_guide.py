"""The guide's steps that need no proxy, word for word, and what each of them shows."""

import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from support.cluster import Agent, AuthServer
from support.processes import Process, Processes, run_program, wait_until

INVITATION = """\
The invite token: {token}
This token will expire in 5 minutes.

Run this on the new node to join the cluster:

> teleport start \\
   --roles={role} \\
   --token={token} \\
   --ca-pin={pin} \\
   --auth-server={address}

Please note:

  - This invitation token will expire in 5 minutes
  - {address} must be reachable from the new node
"""
TOKEN_ROW = r"^{masked} +{role} +\d\d \w{{3}} \d\d \d\d:\d\d UTC \((?:4m\d+s|5m0s)\)$"


def read_token(invitation: str) -> str:
    return invitation.splitlines()[0].removeprefix("The invite token: ")


def mask(token: str) -> str:
    return "*" * 24 + token[24:]


def read_command(invitation: str) -> str:
    """Return the command as a person copies it, without the prompt."""
    start = invitation.index("> teleport start") + 2
    return invitation[start : invitation.index("\n\n", start)]


@pytest.mark.parametrize(
    ("command", "role"), [("tokens add --ttl=5m --type=node", "node"), ("nodes add --ttl=5m --roles=proxy", "proxy")]
)
def test_an_invitation_reads_as_in_the_guide(auth: AuthServer, pin: str, command: str, role: str) -> None:
    printed = auth.tctl(*command.split())

    token = read_token(printed)
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert printed == INVITATION.format(token=token, role=role, pin=pin, address=auth.address)


def test_the_printed_command_joins_as_it_is(auth: AuthServer, processes: Processes, tmp_path: Path) -> None:
    command = read_command(auth.tctl("tokens", "add", "--ttl=5m", "--type=node"))
    diag = processes.reserve_address()
    whole = f"exec {command} \\\n   --data-dir={tmp_path / 'data'} --nodename=printed --diag-addr={diag}"
    process = Process(("sh", "-c", whole), log=tmp_path / "log", diag=diag)
    processes.add(process)

    process.start()

    process.wait_for_status(200)
    auth.wait_for_record("printed")


def test_a_configured_host_joins_after_the_guides_sed(
    auth: AuthServer, pin: str, processes: Processes, tmp_path: Path
) -> None:
    token = auth.tctl("tokens", "add", "--ttl=5m", "--type=node", "--format=text").strip()
    config = tmp_path / "teleport.yaml"
    configured = run_program(
        *("teleport", "configure", "--roles=node", f"--token={token}", f"--auth-server={auth.address}"),
        *("-o", f"file://{config}", f"--data-dir={tmp_path / 'data'}", "--node-name=configured"),
    )
    assert configured.returncode == 0, configured.stderr
    assert '  ca_pin: ""\n' in config.read_text()

    subprocess.run(shlex.split(f"""sed -i 's|  ca_pin: ""|  ca_pin: "{pin}"|' {config}"""), check=True)
    diag = processes.reserve_address()
    process = Process(
        ("teleport", "start", f"--config={config}", f"--diag-addr={diag}"), log=tmp_path / "log", diag=diag
    )
    processes.add(process)
    process.start()

    process.wait_for_status(200)
    label = re.escape(f"hostname={socket.gethostname()}")
    wait_until(
        lambda: re.search(rf"^configured .* {label} ", auth.tctl("nodes", "ls"), re.MULTILINE),
        "the node is listed with the label hostname",
    )
    assert config.stat().st_mode & 0o777 == 0o600


def test_configure_does_not_overwrite_a_file(tmp_path: Path) -> None:
    config = tmp_path / "teleport.yaml"
    config.write_text("mine\n")

    done = run_program("teleport", "configure", "--roles=node", "-o", f"file://{config}")

    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: ")
    assert config.read_text() == "mine\n"


def test_the_status_has_the_lines_of_the_guide(auth: AuthServer) -> None:
    lines = auth.tctl("status").splitlines()

    authorities = ["host", "user", "db", "openssh", "jwt", "saml_idp"]
    assert lines[0] == "Cluster      example.com"
    assert re.fullmatch(r"Version      \d+\.\d+\.\d+", lines[1])
    assert lines[2:8] == [f"{name + ' CA':<12} never updated" for name in authorities]
    assert re.fullmatch(r"CA pin       sha256:[0-9a-f]{64}", lines[8])


def test_a_node_is_listed_under_the_header_of_the_guide(
    auth: AuthServer, pin: str, processes: Processes, tmp_path: Path
) -> None:
    agent = Agent(processes, tmp_path / "listed", auth.address, [f"--token={auth.add_token()}", f"--ca-pin={pin}"])
    agent.start().wait_until_ready()
    auth.wait_for_record("listed")

    header, dashes, *rows = auth.tctl("nodes", "ls").splitlines()

    assert header.split("  ")[0] == "Host"
    assert header.split() == ["Host", "UUID", "Public", "Address", "Labels", "Version"]
    assert set(dashes) == {"-", " "}
    assert [row.split()[:2] for row in rows if row.startswith("listed ")] == [["listed", agent.host_id]]


def test_tokens_are_listed_with_their_roles_and_revoked_by_their_name(auth: AuthServer) -> None:
    node = read_token(auth.tctl("tokens", "add", "--ttl=5m", "--type=node"))
    proxy = read_token(auth.tctl("nodes", "add", "--ttl=5m", "--roles=proxy"))
    listed = auth.tctl("tokens", "ls")
    assert listed.splitlines()[0].split() == ["Token", "Type", "Labels", "Expiry", "Time", "(UTC)"]
    for token, role in ((node, "Node"), (proxy, "Proxy")):
        assert re.search(TOKEN_ROW.format(masked=re.escape(mask(token)), role=role), listed, re.MULTILINE), listed
        assert token not in listed

    assert auth.tctl("tokens", "rm", proxy) == f"Token {proxy} has been deleted\n"

    assert mask(proxy) not in auth.tctl("tokens", "ls")
    again = auth.run_tctl("tokens", "rm", proxy)
    assert again.returncode == 1
    assert again.stderr.startswith("ERROR: ")
    assert proxy not in again.stderr


def test_lists_show_whole_tokens_only_when_asked_to(auth: AuthServer) -> None:
    token = auth.add_token()

    for form in ("text", "json", "yaml"):
        assert token not in auth.tctl("tokens", "ls", f"--format={form}")
        assert token in auth.tctl("tokens", "ls", f"--format={form}", "--with-secrets")
