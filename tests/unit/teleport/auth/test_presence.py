from typing import Any

import pytest

from support.auth import HOST_ID, InProcessAuth, build_host
from teleport.api.messages import GoodbyeRequest, HeartbeatRequest
from teleport.auth.presence import MAX_SERVER_BYTES
from teleport.errors import AccessDenied, BadParameter
from teleport.resources.model import MAX_LABELS
from teleport.resources.presence import Instance, Server
from teleport.resources.role import SystemRole

NODE, APP = SystemRole.NODE, SystemRole.APP
HOST = build_host(NODE, APP)


def build_server(kind: str = "node", name: str = "", spec: dict[str, Any] | None = None, **metadata: Any) -> Any:
    return {"kind": kind, "metadata": {"name": name, **metadata}, "spec": spec or {}}


def build_heartbeat(*servers: Any, process: str = "") -> HeartbeatRequest:
    return HeartbeatRequest(hostname="node", version="1.0.0", servers=tuple(servers), process=process)


async def list_servers(auth: InProcessAuth, kind: str = "node") -> list[Server]:
    records, _ = await auth.stores.presence.list_page(kind, after="", limit=100)
    return [record for record in records if isinstance(record, Server)]


async def test_a_host_says_what_it_serves_and_how_long_that_stays() -> None:
    auth = await InProcessAuth.start()
    request = build_heartbeat(build_server(labels={"env": "test"}), build_server("app_server", "wiki"))
    assert await auth.heartbeats.announce(request, HOST) == 600
    (node,), (app,) = await list_servers(auth), await list_servers(auth, "app_server")
    assert (node.name, node.metadata.labels) == (HOST_ID, {"env": "test"})
    assert app.name == f"{HOST_ID}/wiki"
    instance = await auth.stores.presence.get("instance", HOST_ID)
    assert isinstance(instance, Instance)
    assert instance.spec.services == (APP, NODE)
    assert (instance.spec.hostname, instance.spec.last_seen) == ("node", auth.clock.now())


async def test_hostile_63_a_host_speaks_for_itself_only() -> None:
    auth = await InProcessAuth.start()
    forged = build_server(spec={"host_id": "another"}, namespace="elsewhere", expires="2099-01-01T00:00:00Z")
    await auth.heartbeats.announce(build_heartbeat(forged), HOST)
    (node,) = await list_servers(auth)
    assert (node.name, node.spec.host_id, node.metadata.namespace) == (HOST_ID, HOST_ID, "default")
    assert node.metadata.expires is not None
    assert node.metadata.expires.year == auth.clock.now().year


async def test_hostile_63_a_service_that_the_certificate_does_not_cover_is_refused() -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(AccessDenied, match="does not cover role Db"):
        await auth.heartbeats.announce(build_heartbeat(build_server("db_server", "pg")), HOST)
    assert await auth.backend.range("presence/") == []


@pytest.mark.parametrize(
    ("server", "what"),
    [
        ({"kind": "token", "metadata": {}, "spec": {"roles": ["Node"]}}, "cannot declare a token"),
        ({"kind": "instance", "metadata": {}, "spec": {}}, "cannot declare a instance"),
        ({"kind": "ship", "metadata": {}, "spec": {}}, "unknown resource kind"),
        ({}, "unknown resource kind"),
        (build_server(name="a/b"), "must not contain a slash"),
        (build_server(name="a\x1b[2Jb"), "control character"),
        (build_server(labels={"a": "x\ny"}), "control character"),
        (build_server(labels={f"k{number}": "" for number in range(MAX_LABELS + 1)}), "more than 256 labels"),
        (build_server(spec={"dynamic_labels": {"": "x"}}), "key is missing"),
        (build_server(spec={"addr": "x" * 513}), "spec.addr"),
        (build_server(description="x" * MAX_SERVER_BYTES), "larger than"),
    ],
)
async def test_hostile_63_what_cannot_be_declared_is_refused(server: Any, what: str) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match=what):
        await auth.heartbeats.announce(build_heartbeat(server), HOST)
    assert await auth.backend.range("presence/") == []


async def test_as_many_labels_as_are_allowed_pass() -> None:
    auth = await InProcessAuth.start()
    server = build_server(labels={f"k{number}": "x" * 100 for number in range(MAX_LABELS)})
    await auth.heartbeats.announce(build_heartbeat(server), HOST)
    assert len(await list_servers(auth)) == 1


async def test_two_records_of_one_name_are_refused() -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match="same name"):
        await auth.heartbeats.announce(build_heartbeat(build_server(), build_server(name="")), HOST)


async def test_what_is_no_longer_declared_vanishes() -> None:
    auth = await InProcessAuth.start()
    await auth.heartbeats.announce(build_heartbeat(build_server("app_server", "wiki"), build_server()), HOST)
    await auth.heartbeats.announce(build_heartbeat(build_server()), HOST)
    assert await list_servers(auth, "app_server") == []
    assert len(await list_servers(auth)) == 1


async def test_a_goodbye_removes_everything() -> None:
    auth = await InProcessAuth.start()
    await auth.heartbeats.announce(build_heartbeat(build_server()), HOST)
    await auth.heartbeats.withdraw(GoodbyeRequest(), HOST)
    assert await auth.backend.range("presence/") == []


async def test_a_late_goodbye_leaves_the_records_of_the_next_run_of_the_host() -> None:
    auth = await InProcessAuth.start()
    await auth.heartbeats.announce(build_heartbeat(build_server(), process="former"), HOST)
    await auth.heartbeats.announce(build_heartbeat(build_server(), process="next"), HOST)
    for process in ("former", ""):
        await auth.heartbeats.withdraw(GoodbyeRequest(process=process), HOST)
        assert len(await list_servers(auth)) == 1
    await auth.heartbeats.withdraw(GoodbyeRequest(process="next"), HOST)
    assert await auth.backend.range("presence/") == []


async def test_a_process_without_services_is_an_instance_all_the_same() -> None:
    auth = await InProcessAuth.start()
    await auth.heartbeats.announce(build_heartbeat(), HOST)
    instance = await auth.stores.presence.get("instance", HOST_ID)
    assert isinstance(instance, Instance)
    assert instance.spec.services == ()
