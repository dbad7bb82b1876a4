"""The operator between a real API server and a real auth server: what each costs, and what is written."""

import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from harness import cpu_seconds
from support.cluster import AuthServer
from support.kube_apiserver import ADMIN_TOKEN, KubeApiServer, running_apiserver
from support.operator_cluster import Document, Objects, Operator, prepare_kubernetes, start_auth
from support.processes import Processes

CONNECTIONS = 64
FLAGS = ("--drift-interval=30s",)
"""The default, as people run it."""
WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE"})
WRITABLE = frozenset({"teleportprovisiontokens", "teleportprovisiontokens/status", "events", "secrets"})
"""All that the operator has a right to write, but its Lease."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The processes, and the administrator's session with the API server."""

    kubernetes: KubeApiServer
    auth: AuthServer
    operator: Operator
    session: aiohttp.ClientSession

    @property
    def pid(self) -> int:
        """Return the operator's process id."""
        return self.operator.process.pid

    def read_cpu(self) -> dict[str, float]:
        """Return the processor time that each has used so far."""
        return {
            "the operator": cpu_seconds(self.pid),
            "auth": cpu_seconds(self.auth.process.pid),
            "the API server": cpu_seconds(self.kubernetes.process.pid),
            "etcd": cpu_seconds(self.kubernetes.etcd.pid),
            "the load": time.process_time(),
        }

    async def create_object(self, manifest: Document) -> None:
        """Create an object."""
        async with self.session.post(Objects(self.kubernetes).path, json=manifest) as response:
            if response.status != 201:
                raise SystemExit(f"the API server answered {response.status}: {await response.text()}")

    async def list_objects(self) -> list[Document]:
        """Return all objects."""
        async with self.session.get(Objects(self.kubernetes).path) as response:
            found: list[Document] = (await response.json())["items"]
            return found

    async def list_versions(self) -> dict[str, str]:
        """Return the resource version of every object."""
        return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in await self.list_objects()}

    async def count_writes(self) -> Counter[str]:
        """Return how often the API server has written what the operator has a right to write."""
        async with self.session.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        counted: Counter[str] = Counter()
        for line in lines:
            if line.startswith("apiserver_request_total{"):
                name, labels, value = read_sample(line)
                name = "/".join(filter(None, (labels["resource"], labels["subresource"])))
                if labels["verb"] in WRITES and labels["code"].startswith("2") and name in WRITABLE:
                    counted[f"{labels['verb']} {name}"] += int(value)
        return counted

    def count_changes(self) -> int:
        """Return how many changes of tokens are in auth's audit log."""
        return sum(event["event"].startswith("join_token.") for event in self.auth.read_audit())

    def read_metric(self, name: str) -> float:
        """Return the sum of a metric of the operator."""
        lines = self.operator.process.fetch("/metrics")[1].splitlines()
        samples = (read_sample(line) for line in lines if line.startswith(name))
        return sum(value for found, _, value in samples if found == name)


def read_sample(line: str) -> tuple[str, dict[str, str], float]:
    """Return name, labels and value of a line of metrics."""
    (family,) = text_string_to_metric_families(line)
    (sample,) = family.samples
    return sample.name, sample.labels, sample.value


@contextmanager
def running_processes(folder: Path) -> Iterator[Operator]:
    """Run an API server and an auth server for the time of a block; the operator between them is to be started yet."""
    processes = Processes()
    try:
        with running_apiserver(folder / "kubernetes") as kubernetes:
            prepare_kubernetes(kubernetes)
            auth = start_auth(kubernetes, processes, folder)
            yield Operator(processes, folder / "operator", kubernetes, auth, flags=FLAGS)
    finally:
        processes.close()


@asynccontextmanager
async def open_stage(operator: Operator) -> AsyncIterator[Stage]:
    """Let the administrator ask the operator's API server for the time of a block."""
    kubernetes = operator.kubernetes
    context = ssl.create_default_context(cafile=str(kubernetes.ca_file))
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS)
    async with aiohttp.ClientSession(kubernetes.url, headers=headers, connector=connector) as session:
        yield Stage(kubernetes, operator.auth, operator, session)
