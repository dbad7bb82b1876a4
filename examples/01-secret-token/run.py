"""Shows the main job on real processes: an auth server starts, and a service joins it with a secret token.

It types what an administrator would type, shows what that prints, and keeps the cluster running until Ctrl-C. All
state is in one folder, which the next run finds again: the service then comes back with the identity it was given.
"""

import argparse
import fcntl
import json
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from administrator import Administrator
from console import PATIENCE, Failed, say
from service import Service, running

HOST = "127.0.0.1"
AUTH_PORT = 3025
NODE_NAME = "example-node"
AUTH_CONFIG = """\
version: v3
teleport:
  nodename: example-auth
  data_dir: {data_dir}
  diag_addr: {diag}
auth_service:
  enabled: yes
  cluster_name: example.com
  listen_addr: {address}
ssh_service:
  enabled: no
proxy_service:
  enabled: no
"""


def run_example(folder: Path, *, once: bool) -> None:
    """Run the cluster until somebody ends it, or only as long as it takes to show it."""
    address, auth_diag, node_diag = (f"{HOST}:{port}" for port in choose_ports())
    config = folder / "auth.yaml"
    config.write_text(AUTH_CONFIG.format(data_dir=json.dumps(str(folder / "auth")), address=address, diag=auth_diag))
    administrator = Administrator(config)

    say(f"starting an auth server on {address}, with the configuration {config}")
    with running("auth server", log=folder / "auth.log", diag=auth_diag, flags=[f"--config={config}"]) as auth:
        flags = [
            "--roles=node", f"--auth-server={address}", f"--nodename={NODE_NAME}", f"--listen-ip={HOST}",
            f"--data-dir={folder / 'node'}", f"--diag-addr={node_diag}",
        ]  # fmt: skip
        if has_joined(folder):
            say("starting the SSH service again: it has an identity from before and needs no token")
        else:
            say("inviting an SSH service")
            flags += find_invitation_flags(administrator.show("tokens", "add", "--type=node", "--ttl=5m"))
            say("starting the SSH service with the flags of this invitation")
        with running("SSH service", log=folder / "node.log", diag=node_diag, flags=flags) as node:
            wait_until_listed(administrator)
            show_cluster(administrator)
            if not once:
                stay(administrator, folder, auth, node)


def choose_ports() -> list[int]:
    """Return ports for the auth server, which gets its usual one if that is free, and for two diagnostics."""
    reserved = [bind(AUTH_PORT) or bind(0), bind(0), bind(0)]
    ports = [each.getsockname()[1] for each in reserved if each is not None]
    for each in reserved:
        if each is not None:
            each.close()
    return ports


def bind(port: int) -> socket.socket | None:
    """Return a socket on this port, 0 being any, or None if somebody else has it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind((HOST, port))
    except OSError:
        reserved.close()
        return None
    return reserved


def has_joined(folder: Path) -> bool:
    """Tell whether the service of an earlier run was admitted."""
    state = folder / "node" / "proc" / "state.json"
    return state.exists() and json.loads(state.read_bytes())["joined"] is not None


def find_invitation_flags(invitation: str) -> list[str]:
    """Return the two flags of the printed command that carry a secret and say whom to trust with it."""
    flags = [re.search(rf"--{name}=\S+", invitation) for name in ("token", "ca-pin")]
    found = [flag.group() for flag in flags if flag is not None]
    if len(found) < len(flags):
        raise Failed("the invitation does not show a token and a CA pin")
    return found


def wait_until_listed(administrator: Administrator) -> None:
    """Return when the auth server knows of the service."""
    end = time.monotonic() + PATIENCE
    while NODE_NAME not in administrator.run("nodes", "ls"):
        if time.monotonic() > end:
            raise Failed(f"{NODE_NAME} does not appear in `tctl nodes ls`")
        time.sleep(0.2)


def show_cluster(administrator: Administrator) -> None:
    """Show what the administrator sees now."""
    for arguments in ("status", "tokens ls", "nodes ls"):
        administrator.show(*arguments.split())


def stay(administrator: Administrator, folder: Path, *services: Service) -> None:
    """Say what may be typed next, and wait for Ctrl-C or for the unexpected end of a service."""
    print(f"\nThe cluster is running. Its state and its logs are in {folder}. Type in another terminal, for example:\n")
    for arguments in ("nodes ls", "tokens add --type=node --ttl=5m", "tokens ls", "inventory ls"):
        print(f"  {administrator.render_command(*arguments.split())}")
    print("\nCtrl-C stops it.", flush=True)
    while all(service.is_alive for service in services):
        time.sleep(0.5)
    ended = next(service for service in services if not service.is_alive)
    raise Failed(f"the {ended.name} has ended. {ended.render_log()}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder for the time of a block."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failed(f"another run uses {folder}; stop it first") from error
        yield


def main() -> int:
    """Read the flags, run, and return the exit status."""
    parser = argparse.ArgumentParser(description="Run an auth server and a service that joins it.")
    parser.add_argument("--folder", type=Path, default=Path("var"), help="where all state is (default: var)")
    parser.add_argument("--once", action="store_true", help="stop after showing the cluster")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background has SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with locked(folder):
            say(f"state and logs are in {folder}")
            run_example(folder, once=arguments.once)
    except KeyboardInterrupt:
        return 0
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
