from datetime import timedelta

import pytest

from support.auth import HOST_ID, InProcessAuth, build_host
from teleport.agent.services import Service
from teleport.api.messages import HeartbeatRequest
from teleport.config.settings import LabelCommand, ServiceSettings, Target
from teleport.resources.address import Address
from teleport.resources.presence import SERVER_ROLES
from teleport.resources.role import SystemRole
from teleport.version import VERSION


def build_service(settings: ServiceSettings) -> Service:
    return Service(settings, hostname="web-1", on_change=lambda: None)


def test_a_node_declares_itself() -> None:
    settings = ServiceSettings(
        role=SystemRole.NODE, labels={"env": "test"}, public_addrs=(Address("node.example.com", 3022),)
    )
    assert build_service(settings).build_records() == [
        {
            "kind": "node",
            "version": "v2",
            "metadata": {"namespace": "default", "labels": {"env": "test"}},
            "spec": {"hostname": "web-1", "version": VERSION, "public_addr": "node.example.com:3022"},
        }
    ]


def test_an_application_service_declares_each_application() -> None:
    targets = (
        Target(name="wiki", uri="http://localhost:8080", public_addr="wiki.example.com", labels={"team": "docs"}),
        Target(name="grafana", uri="http://localhost:3000", description="dashboards"),
    )
    settings = ServiceSettings(role=SystemRole.APP, labels={"env": "test", "team": "all"}, targets=targets)
    wiki, grafana = build_service(settings).build_records()
    assert (wiki["kind"], wiki["metadata"]["name"], wiki["spec"]["uri"]) == (
        "app_server",
        "wiki",
        "http://localhost:8080",
    )
    assert wiki["metadata"]["labels"] == {"env": "test", "team": "docs", "teleport.dev/origin": "config"}
    assert grafana["metadata"]["description"] == "dashboards"


@pytest.mark.parametrize("role", [SystemRole.APP, SystemRole.DB, SystemRole.KUBE])
def test_a_service_that_serves_nothing_declares_nothing(role: SystemRole) -> None:
    assert build_service(ServiceSettings(role=role)).build_records() == []


async def test_labels_that_commands_compute_are_declared() -> None:
    command = LabelCommand("arch", ("/bin/echo", "arm64"), timedelta(hours=1))
    service = build_service(ServiceSettings(role=SystemRole.NODE, commands=(command,)))
    await service._labels.refresh(command)
    (record,) = service.build_records()
    assert record["spec"]["dynamic_labels"] == {"arch": "arm64"}


@pytest.mark.parametrize("role", sorted(SERVER_ROLES.values()))
async def test_auth_takes_what_every_service_declares(role: SystemRole) -> None:
    auth = await InProcessAuth.start()
    service = build_service(ServiceSettings(role=role, targets=(Target(name="thing", uri="tcp://localhost:1"),)))
    assert service.component == role.value.lower()
    request = HeartbeatRequest(hostname="web-1", version=VERSION, servers=tuple(service.build_records()))
    await auth.heartbeats.announce(request, build_host(role))
    kind = next(kind for kind, needed in SERVER_ROLES.items() if needed is role)
    (record,), _ = await auth.stores.presence.list_page(kind, after="", limit=10)
    assert record.name.startswith(HOST_ID)
