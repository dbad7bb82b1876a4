"""`tsh` as real processes: logins through a proxy, what is kept of them, and what they open."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.cluster import Agent, AuthFactory, AuthServer
from support.processes import Processes, wait_until
from support.public_proxy import PublicProxy
from support.tsh_user import PASSWORD, Person, join_as_proxy
from teleport.api.identity import Identity


@pytest.fixture(scope="module")
def front(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> PublicProxy:
    """A proxy that all tests of this module share."""
    return PublicProxy(shared_processes, tmp_path_factory.mktemp("shared") / "public", auth).start()


@pytest.fixture(scope="module")
def speaker(auth: AuthServer) -> Identity:
    return join_as_proxy(auth)


@pytest.fixture(scope="module")
def alice(auth: AuthServer, front: PublicProxy, speaker: Identity, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody who is logged in."""
    person = Person(tmp_path_factory.mktemp("alice") / "home", "alice", front.address, front.ca_file)
    person.enrol(auth, speaker, roles="access,editor")
    person.log_in()
    return person


@pytest.fixture
def bob(
    auth: AuthServer, front: PublicProxy, speaker: Identity, tmp_path: Path, request: pytest.FixtureRequest
) -> Person:
    """Somebody who has not logged in yet."""
    name = f"bob-{abs(hash(request.node.name)) % 10**8}"
    return Person(tmp_path / "home", name, front.address, front.ca_file).enrol(auth, speaker)


def read_profile(person: Person) -> tuple[Path, dict[str, object]]:
    (path,) = person.home.joinpath("profiles").glob("*.json")
    return path, json.loads(path.read_text())


def test_a_login_shows_who_is_logged_in_and_is_shown_by_status(alice: Person) -> None:
    shown = alice.tsh("status")
    assert f"> Profile URL:        https://{alice.proxy}\n" in shown
    assert (
        "  Logged in as:       alice\n  Cluster:            example.com\n  Roles:              access, editor\n"
        in shown
    )
    assert "[valid for 12h0m0s]" in shown or "[valid for 11h5" in shown
    told = json.loads(alice.tsh("status", "--format=json"))
    assert (told["active"]["username"], told["profiles"]) == ("alice", [])
    assert alice.tsh("login").startswith("> Profile URL:")


def test_keys_are_this_users_alone_and_stay_here(alice: Person, auth: AuthServer, front: PublicProxy) -> None:
    path, profile = read_profile(alice)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (alice.home, path.parent, path)] == [0o700, 0o700, 0o600]
    assert isinstance(profile["identity"], dict)
    key = str(profile["identity"]["tls_key"]).splitlines()[1]
    assert key not in auth.process.log + front.proxy.process.log + auth.config.parent.joinpath("auth.log").read_text()


def test_the_users_address_is_in_the_audit_log(alice: Person, auth: AuthServer) -> None:
    events = [event for event in auth.read_audit("user.login") if event["user"] == alice.name]
    assert events[0]["remote_addr"] == "127.0.0.1"


def test_tctl_works_by_the_login(alice: Person) -> None:
    done = alice.run("tctl", "users", "ls")
    assert (done.returncode, done.stderr) == (0, "")
    assert "alice" in done.stdout


def test_an_identity_file_opens_the_cluster_for_tctl(bob: Person, auth: AuthServer, tmp_path: Path) -> None:
    auth.tctl("users", "update", bob.name, "--set-roles=editor")
    path = tmp_path / "bob.identity"
    bob.log_in(f"--out={path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not bob.home.exists()
    assert "exists already" in bob.try_to_log_in(f"--out={path}", code="000000").stderr
    done = bob.run("tctl", f"--proxy={bob.proxy}", f"--identity={path}", "tokens", "ls")
    assert done.returncode == 0, done.stderr


def test_the_password_is_not_shown_at_a_terminal(bob: Person) -> None:
    shown = bob.log_in_at_terminal()
    assert PASSWORD not in shown
    assert f"Logged in as:       {bob.name}" in shown


def test_nodes_are_listed(alice: Person, front: PublicProxy) -> None:
    agent = front.join("behind")
    wait_until(lambda: agent.name in alice.tsh("ls", "--format=names"), "the node is listed", pause=0.3)
    header, dashes, line = alice.tsh("ls").splitlines()
    assert header.split() == ["Node", "Name", "Address", "Labels"]
    assert dashes.startswith("--------- ")
    assert line.startswith("behind ")
    assert agent.host_id in alice.tsh("ls", "-v")
    assert json.loads(alice.tsh("ls", "--format=json"))[0]["spec"]["hostname"] == "behind"
    assert alice.tsh("ls", "env=prod", "--format=names") == ""


def test_applications_are_listed_as_in_the_guide(
    alice: Person, auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    agent = Agent(processes, tmp_path / "apps", auth.address)
    config = agent.configure(
        teleport={"join_params": {"method": "token", "token_name": auth.add_token("app")}, "ca_pin": auth.get_pin()},
        app_service={
            "enabled": "yes",
            "apps": [
                {"name": "demo-app", "uri": "http://demo-app.demo-app.svc.cluster.local:80"},
                {
                    "name": "db",
                    "uri": "tcp://localhost:5432",
                    "public_addr": "db.example.com",
                    "description": "Postgres",
                },
            ],
        },
    )
    agent.roles = "app"
    agent.start(f"--config={config}")
    wait_until(lambda: "demo-app" in alice.tsh("apps", "ls", "--format=names"), "the app is listed", pause=0.3)
    assert alice.tsh("apps", "ls", "--search=demo-app") == (
        "Application Description Type Public Address     Labels\n"
        "----------- ----------- ---- ------------------ --------------------------\n"
        "demo-app                HTTP demo-app.localhost teleport.dev/origin=config\n"
    )
    assert alice.tsh("app", "ls", "--format=names") == "db\ndemo-app\n"
    assert "tcp://localhost:5432" in alice.tsh("apps", "ls", "-v")

    shown = alice.tsh("apps", "login", "demo-app")
    assert shown.startswith("Logged into app demo-app. Example curl command:\n\ncurl \\\n  --cert ")
    pem = Path(alice.tsh("apps", "config", "--format=cert").strip())
    assert stat.S_IMODE(pem.stat().st_mode) == 0o600
    assert alice.tsh("apps", "config", "--format=uri").startswith("https://demo-app.localhost:")
    assert alice.tsh("apps", "logout", "demo-app") == "Logged out of app demo-app\n"
    assert not pem.exists()
    assert alice.run("tsh", "apps", "login", "nothing").returncode == 1


def test_after_a_logout_nothing_is_left(bob: Person) -> None:
    bob.log_in()
    assert bob.tsh("logout") == "Logged out all users from all proxies.\n"
    assert [path for path in bob.home.rglob("*") if path.is_file()] == []
    done = bob.run("tsh", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not logged in" in done.stderr


@pytest.mark.parametrize("wrong", [{"password": "wrong horse battery"}, {"code": "000000"}, {"flags": "--user=nobody"}])
def test_whatever_is_wrong_the_answer_is_the_same(bob: Person, wrong: dict[str, str]) -> None:
    flags = [wrong.pop("flags")] if "flags" in wrong else []
    done = bob.try_to_log_in(*flags, **wrong)
    assert done.returncode == 1
    assert "ERROR: the user name, the password or the code is wrong, or the user is locked for a while\n" in done.stderr
    assert not bob.home.exists()


def test_a_locked_user_is_refused_with_the_right_password(bob: Person) -> None:
    for _ in range(5):
        bob.try_to_log_in(password="wrong horse battery", code="000000")
    assert bob.try_to_log_in().returncode == 1


def test_a_login_that_has_expired_is_said_and_not_used(bob: Person) -> None:
    bob.log_in("--ttl=1")
    path, profile = read_profile(bob)
    profile["valid_until"] = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    path.write_text(json.dumps(profile))
    done = bob.run("tsh", "status")
    assert (done.returncode, "[EXPIRED]" in done.stdout) == (1, True)
    for command in (("tsh", "apps", "ls"), ("tctl", "status")):
        done = bob.run(*command)
        assert done.returncode == 1
        assert "has expired: log in again" in done.stderr


def test_a_proxy_with_an_unknown_certificate_learns_nothing_unless_the_user_wants_it(bob: Person) -> None:
    known, bob.ca_file = bob.ca_file, Path("/dev/null")
    done = bob.try_to_log_in(code="000000")
    assert done.returncode == 1
    assert "is not trusted here" in done.stderr
    assert "--insecure" in done.stderr
    done = bob.try_to_log_in("--insecure")
    assert done.returncode == 0
    assert "WARNING: whoever answers" in done.stderr
    assert bob.run("tsh", "apps", "ls").returncode == 1
    assert bob.run("tsh", "apps", "ls", "--insecure").returncode == 0
    bob.ca_file = known


def test_a_login_of_another_cluster_is_refused_by_whoever_logged_in(
    bob: Person, make_auth: AuthFactory, processes: Processes, tmp_path: Path, front: PublicProxy
) -> None:
    bob.log_in()
    other = make_auth("other", cluster_name="other.example.com").start()
    theirs = PublicProxy(processes, tmp_path / "theirs", other, authority=front.authority).start()
    path, profile = read_profile(bob)
    profile["proxy"] = theirs.address
    path.with_name(f"{theirs.address.replace(':', '_')}.json").write_text(json.dumps(profile))
    done = bob.run("tsh", "apps", "ls", f"--proxy={theirs.address}")
    assert done.returncode == 1
    assert "is not the one that is meant" in done.stderr
