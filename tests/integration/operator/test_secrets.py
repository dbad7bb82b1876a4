"""Tokens whose value is a secret: made and delivered by the operator, read from a Secret, or the object's own name."""

import base64
import json
import urllib.error

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import NAMESPACE, Document, Objects, Operator, find_token
from support.operator_specs import build_secret_spec
from support.processes import wait_until
from support.strangers import Stranger
from teleport.errors import JoinRefused

pytestmark = pytest.mark.usefixtures("operator")

GIVEN = "0123456789abcdef0123456789abcdef"


class Secrets:
    """The Secrets of the namespace."""

    def __init__(self, kubernetes: KubeApiServer) -> None:
        self._kubernetes = kubernetes
        self._path = f"/api/v1/namespaces/{NAMESPACE}/secrets"

    def get(self, name: str) -> Document | None:
        try:
            return self._kubernetes.ask("GET", f"{self._path}/{name}")
        except urllib.error.HTTPError:
            return None

    def read(self, name: str) -> str:
        """Return the token that is delivered."""
        found = wait_until(lambda: self.get(name), f"Secret {name} is there")
        return base64.b64decode(found["data"]["auth-token"]).decode()

    def put(self, name: str, value: str) -> None:
        body = {"metadata": {"name": name}, "stringData": {"auth-token": value}}
        if self.get(name) is None:
            self._kubernetes.ask("POST", self._path, body)
        else:
            self._kubernetes.ask("PUT", f"{self._path}/{name}", body)


@pytest.fixture
def secrets(kubernetes: KubeApiServer) -> Secrets:
    return Secrets(kubernetes)


async def join(auth: AuthServer, token: str) -> str:
    """Join with a secret and return the host id."""
    stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
    return (await stranger.join(token)).host_id


async def test_a_secret_is_made_delivered_and_lets_a_service_join(
    objects: Objects, auth: AuthServer, secrets: Secrets, operator: Operator, name: str
) -> None:
    objects.apply(name, build_secret_spec(ttl="1h"))
    found = objects.wait_for(name, "Synced")
    value = secrets.read(name)
    assert len(value) == 32
    assert await join(auth, value)
    assert found["status"]["secret"]["name"] == name
    secret = secrets.get(name)
    assert secret is not None
    assert secret["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
    told = json.dumps(found) + json.dumps(objects.list_events(name)) + operator.process.log
    assert value not in told
    assert value not in operator.process.fetch("/metrics")[1]


async def test_status_tells_of_joins_and_refusals(
    objects: Objects, auth: AuthServer, secrets: Secrets, name: str
) -> None:
    objects.apply(name, build_secret_spec(ttl="1h", limits={"max_uses": 1}))
    objects.wait_for(name, "Synced")
    value = secrets.read(name)
    host_id = await join(auth, value)
    with pytest.raises(JoinRefused):
        await join(auth, value)

    def look() -> Document | None:
        status = (objects.get(name) or {})["status"]
        return status if "lastRefusal" in status and status["joins"] == 1 else None

    status = wait_until(look, "the status tells")
    assert status["lastJoin"]["hostId"] == host_id
    assert status["lastRefusal"]["reason"] == "max_uses_reached"
    assert objects.find_condition(name, "Active")["reason"] == "Consumed"


async def test_without_an_overlap_the_former_secret_ends_at_once(
    objects: Objects, auth: AuthServer, secrets: Secrets, name: str
) -> None:
    at_once = build_secret_spec(ttl="1h", secret={"overlap": "0s"})
    objects.apply(name, at_once)
    objects.wait_for(name, "Synced")
    first = secrets.read(name)
    objects.apply(name, at_once, rotate="please")
    wait_until(lambda: secrets.read(name) != first, "there is another secret")
    wait_until(lambda: find_token(auth, first) is None, "the former token is gone")
    assert await join(auth, secrets.read(name))
    with pytest.raises(JoinRefused):
        await join(auth, first)


async def test_with_an_overlap_both_secrets_work(
    objects: Objects, auth: AuthServer, secrets: Secrets, name: str
) -> None:
    rotating = {"rotateEvery": "24h", "overlap": "1h"}
    objects.apply(name, build_secret_spec(secret=rotating))
    objects.wait_for(name, "Synced")
    first = secrets.read(name)
    objects.apply(name, build_secret_spec(secret=rotating), rotate="please")
    wait_until(lambda: secrets.read(name) != first, "there is another secret")
    assert await join(auth, secrets.read(name))
    assert await join(auth, first)
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, first) is None


async def test_a_secret_is_read_from_another_secret(
    objects: Objects, auth: AuthServer, secrets: Secrets, name: str
) -> None:
    objects.apply(name, build_secret_spec(ttl="1h", secret={"fromSecret": {"name": f"{name}-given"}}))
    objects.wait_for(name, "SecretMissing")
    secrets.put(f"{name}-given", "too short")
    wait_until(lambda: "fewer than 16" in objects.find_condition(name)["message"], "a short one is refused")
    secrets.put(f"{name}-given", GIVEN)
    objects.wait_for(name, "Synced")
    assert await join(auth, GIVEN)


def test_a_secret_of_somebody_else_is_left_alone(objects: Objects, secrets: Secrets, name: str) -> None:
    secrets.put(name, "somebody else's")
    objects.apply(name, build_secret_spec(ttl="1h"))
    objects.wait_for(name, "SecretMissing")
    assert secrets.read(name) == "somebody else's"


async def test_the_name_may_be_the_secret_and_that_is_warned_of(objects: Objects, auth: AuthServer, name: str) -> None:
    long_name = f"{name}-0123456789abcdef"
    objects.apply(long_name, {"roles": ["Node"], "ttl": "1h"})
    objects.wait_for(long_name, "Synced")
    assert objects.find_condition(long_name, "NameIsSecret")["status"] == "True"
    objects.wait_for_event(long_name, "Warning", "NameIsSecret")
    assert await join(auth, long_name)


def test_a_short_name_is_no_secret(objects: Objects, name: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="422"):
        objects.apply(name, {"roles": ["Node"], "ttl": "1h"})


def test_a_deleted_object_takes_the_token_of_its_secret_along(
    objects: Objects, auth: AuthServer, secrets: Secrets, name: str
) -> None:
    objects.apply(name, build_secret_spec(ttl="1h"))
    objects.wait_for(name, "Synced")
    value = secrets.read(name)
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, value) is None
