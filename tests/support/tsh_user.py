"""A person with a home of their own, who was invited to a cluster and uses `tsh`."""

import asyncio
import os
import pty
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from support.cluster import AuthServer
from support.processes import PATIENCE, build_environment
from support.strangers import Stranger
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.api.identity import Identity
from teleport.pki.totp import SKEW_STEPS, compute_code, find_step
from teleport.resources.strict_yaml import parse_documents

PASSWORD = "correct horse battery"


def join_as_proxy(auth: AuthServer) -> Identity:
    """Return an identity that may speak for people."""
    stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
    return stranger.identity(asyncio.run(stranger.join(auth.add_token("proxy"))))


@dataclass(slots=True)
class Person:
    """Somebody with a terminal.

    Args:
        home: where `tsh` keeps logins.
        name: the user's.
        proxy: what they give as `--proxy`.
        ca_file: the authorities that their system knows.
        secret: of their second factor.
    """

    home: Path
    name: str
    proxy: str
    ca_file: Path
    secret: str = ""
    _skew: int = field(default=-SKEW_STEPS, init=False)

    def enrol(self, auth: AuthServer, speaker: Identity, roles: str = "access") -> "Person":
        """Be invited by the administrator, and accept."""
        documents = list(parse_documents(auth.tctl("users", "add", self.name, f"--roles={roles}", "--format=yaml")))
        invite_id = str(documents[0]["url"]).rpartition("/")[2]
        shown = auth.ask(ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id), speaker)
        self.secret = shown.totp_secret
        accept = p.InviteAcceptRequest(invite_id=invite_id, password=PASSWORD, code=self.next_code())
        auth.ask(ops.INVITE_ACCEPT, accept, speaker)
        return self

    def next_code(self) -> str:
        """Return a code that was not used yet: there are three at a time."""
        code = compute_code(self.secret, find_step(datetime.now(UTC)) + self._skew)
        self._skew = min(self._skew + 1, SKEW_STEPS)
        return code

    @property
    def environment(self) -> dict[str, str]:
        """Return what their shell has."""
        return build_environment() | {"TELEPORT_HOME": str(self.home), "SSL_CERT_FILE": str(self.ca_file)}

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever that is."""
        return subprocess.run(
            arguments,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=self.environment,
        )

    def tsh(self, *arguments: str, stdin: str = "") -> str:
        """Run `tsh`, which must succeed, and return what it printed."""
        done = self.run("tsh", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_to_log_in(self, *flags: str, password: str = PASSWORD, code: str = "") -> subprocess.CompletedProcess[str]:
        """Log in without a terminal, whatever comes of it."""
        stdin = f"{password}\n{code or self.next_code()}\n"
        return self.run("tsh", "login", f"--proxy={self.proxy}", f"--user={self.name}", *flags, stdin=stdin)

    def log_in(self, *flags: str) -> str:
        """Log in, and return what was printed."""
        done = self.try_to_log_in(*flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log_in_at_terminal(self) -> str:
        """Log in as a person at a keyboard does, and return all that the terminal shows."""
        pid, terminal = pty.fork()
        if pid == 0:
            command = ["tsh", "login", f"--proxy={self.proxy}", f"--user={self.name}"]
            os.execvpe(command[0], command, self.environment)  # noqa: S606 - it is the product's own program
        shown = _type(terminal, "password for", f"{PASSWORD}\n")
        shown += _type(terminal, "OTP code", f"{self.next_code()}\n")
        shown += _read_until(terminal, "\0")
        os.waitpid(pid, 0)
        os.close(terminal)
        return shown


def _type(terminal: int, prompt: str, text: str) -> str:
    shown = _read_until(terminal, prompt)
    os.write(terminal, text.encode())
    return shown


def _read_until(terminal: int, text: str) -> str:
    """Read what is shown until it has some text, or the program ends."""
    shown = b""
    while text.encode() not in shown:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # the program has ended
            break
        if not chunk:
            break
        shown += chunk
    return shown.decode()
