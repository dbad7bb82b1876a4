"""`tsh` opens applications: real processes from the user's machine to the application and back."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer, ThreadingTCPServer
from typing import Any
from urllib.request import urlopen

import pytest

from support.cluster import AuthServer
from support.processes import HOST, PATIENCE, Processes, wait_until
from support.public_proxy import PublicProxy, write_pair
from support.tls_certificates import ThrowawayAuthority
from support.tsh_user import Person, join_as_proxy

PUBLIC = "front.example.com"
ROLE = """
kind: role
version: v7
metadata: {name: nothing}
spec: {allow: {app_labels: {env: [none]}}}
"""


class Web(BaseHTTPRequestHandler):
    """Says who asks, as the application learns it."""

    def do_GET(self) -> None:
        body = f"{self.headers['Host']} {bool(self.headers['Teleport-Jwt-Assertion'])}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Echo(BaseRequestHandler):
    """Says the same backwards."""

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data[::-1])


class EchoServer(ThreadingTCPServer):
    """Waits for nobody when it ends."""

    daemon_threads = True


@contextmanager
def serve(server: TCPServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def front(
    auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PublicProxy]:
    """A proxy with an agent behind it that serves a web and a TCP application."""
    folder = tmp_path_factory.mktemp("shared")
    authority = ThrowawayAuthority.create()
    pairs = [write_pair(folder, authority.issue(name), name) for name in ("localhost", f"web.{PUBLIC}")]
    service = {"https_keypairs": pairs, "public_addr": f"{PUBLIC}:443"}
    made = PublicProxy(shared_processes, folder / "public", auth, service, authority=authority).start()
    with serve(ThreadingHTTPServer((HOST, 0), Web)) as web, serve(EchoServer((HOST, 0), Echo)) as echo:
        agent = made.make_agent("serving", roles="app")
        apps = [{"name": "web", "uri": f"http://{HOST}:{web}"}, {"name": "echo", "uri": f"tcp://{HOST}:{echo}"}]
        config = agent.configure(
            teleport={"join_params": {"method": "token", "token_name": auth.add_token("app")}},
            app_service={"enabled": "yes", "apps": apps},
        )
        agent.start(f"--config={config}").wait_until_ready()
        yield made


def make_person(auth: AuthServer, front: PublicProxy, folder: Path, name: str, roles: str) -> Person:
    person = Person(folder / "home", name, front.address, front.ca_file).enrol(auth, join_as_proxy(auth), roles=roles)
    person.log_in()
    return person


@pytest.fixture(scope="module")
def alice(auth: AuthServer, front: PublicProxy, tmp_path_factory: pytest.TempPathFactory) -> Person:
    person = make_person(auth, front, tmp_path_factory.mktemp("alice"), "alice", "access")
    wait_until(lambda: person.tsh("apps", "ls", "--format=names") == "echo\nweb\n", "both are listed", pause=0.3)
    return person


@contextmanager
def proxying(person: Person, app: str) -> Iterator[int]:
    """Run `tsh proxy app`, and yield the port."""
    command = ["tsh", "proxy", "app", app]
    with subprocess.Popen(command, env=person.environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        try:
            assert line.startswith(f"Proxying connections to {app} on 127.0.0.1:")
            yield int(line.rpartition(":")[2])
        finally:
            running.terminate()


def test_the_command_that_a_login_shows_opens_the_application(alice: Person) -> None:
    shown = alice.tsh("apps", "login", "web").partition("\n\n")[2]
    assert f"https://web.{PUBLIC}" in shown
    command = f"exec {shown.strip()} --silent --show-error --fail"
    wait_until(lambda: alice.run("bash", "-c", command).stdout.endswith(" True"), "it opens", pause=0.3)


def test_a_port_of_this_machine_leads_to_a_web_application(alice: Person) -> None:
    with proxying(alice, "web") as port, urlopen(f"http://localhost:{port}/", timeout=PATIENCE) as answer:
        assert answer.read().endswith(b" True")


def test_a_port_of_this_machine_leads_to_a_tcp_application(alice: Person) -> None:
    with proxying(alice, "echo") as port, socket.create_connection((HOST, port), timeout=PATIENCE) as connection:
        connection.sendall(b"abc")
        assert connection.recv(16) == b"cba"
        connection.sendall(b"def")
        assert connection.recv(16) == b"fed"


def test_who_has_no_role_for_it_sees_no_application_and_opens_none(
    auth: AuthServer, front: PublicProxy, tmp_path: Path
) -> None:
    auth.tctl("create", stdin=ROLE)
    mallory = make_person(auth, front, tmp_path, "mallory", "nothing")
    assert mallory.tsh("apps", "ls", "--format=names") == ""
    for command in (("apps", "login", "web"), ("proxy", "app", "web"), ("proxy", "app", "echo")):
        done = mallory.run("tsh", *command)
        assert done.returncode == 1
        assert "there is no application" in done.stderr


def test_a_role_that_is_taken_away_ends_what_was_written_for_programs(
    auth: AuthServer, front: PublicProxy, tmp_path: Path
) -> None:
    bob = make_person(auth, front, tmp_path, "bob", "access")
    shown = bob.tsh("apps", "login", "web").partition("\n\n")[2].strip()
    command = f"exec {shown} --silent --output /dev/null --write-out '%{{http_code}}'"
    wait_until(lambda: bob.run("bash", "-c", command).stdout == "200", "it opens", pause=0.3)
    auth.tctl("users", "update", "bob", "--set-roles=auditor")
    wait_until(lambda: bob.run("bash", "-c", command).stdout == "403", "it does not open", pause=0.3)
