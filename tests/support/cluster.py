"""A cluster of real processes: an auth server with its configuration and data, and agents that join it."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from support.processes import HOST, Process, Processes, run_program, wait_until
from teleport.api.client import connect
from teleport.api.identity import Identity, load_identity
from teleport.api.messages import ListRequest, ResourceRequest
from teleport.api.operations import RESOURCE_CREATE, RESOURCE_LIST, Operation, RequestT, ResponseT
from teleport.pki.pins import ca_pin
from teleport.resources.address import Address
from teleport.resources.strict_yaml import render_yaml
from teleport.resources.token import generate_token_name

CLUSTER_NAME = "example.com"
Section = dict[str, Any]
PATIENT: Section = {"connection_limits": {"refused_joins": {"period": "1s", "average": 100_000, "burst": 100_000}}}
"""For the section `teleport`: as many joins may be refused as a test makes."""


@dataclass(slots=True)
class AuthServer:
    """An auth server on this machine; `start` and its like may be called again and again."""

    processes: Processes
    folder: Path
    cluster_name: str = CLUSTER_NAME
    auth_service: Section = field(default_factory=dict)
    """What the configuration says beside the necessary."""
    teleport: Section = field(default_factory=dict)
    sections: Section = field(default_factory=dict)
    address: Address = field(init=False)
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = self.processes.reserve_address()
        diag = self.processes.reserve_address()
        self.process = Process(
            ("teleport", "start", f"--config={self.config}"), log=self.folder / "auth.log", diag=diag
        )
        self.processes.add(self.process)
        self.configure()

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.folder / "teleport.yaml"

    @property
    def data_dir(self) -> Path:
        """Return where its state is."""
        return self.folder / "data"

    @property
    def store(self) -> Path:
        """Return the database's file."""
        return self.data_dir / "backend" / "store.sqlite3"

    def configure(self, **auth_service: Any) -> None:
        """Write the configuration, with changes to the section `auth_service`."""
        document = {
            "version": "v3",
            "teleport": {
                "nodename": "auth",
                "data_dir": str(self.data_dir),
                "diag_addr": str(self.process.diag),
                **self.teleport,
            },
            "auth_service": {
                "enabled": "yes",
                "cluster_name": self.cluster_name,
                "listen_addr": str(self.address),
                **self.auth_service,
                **auth_service,
            },
            "ssh_service": {"enabled": "no"},
            "proxy_service": {"enabled": "no"},
            **self.sections,
        }
        self.config.write_text(render_yaml(document))

    def start(self) -> "AuthServer":
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_for_status(200)
        return self

    def restart(self) -> None:
        """Stop it gracefully and start it again."""
        assert self.process.stop() == 0
        self.start()

    def run_tctl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `tctl` as the administrator of this host."""
        return run_program("tctl", f"--config={self.config}", *arguments, stdin=stdin)

    def tctl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run `tctl`, which must succeed, and return what it printed."""
        done = self.run_tctl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_token(self, roles: str = "node", **spec_fields: Any) -> str:
        """Make a token for some roles and return it."""
        name = generate_token_name()
        spec = {"roles": roles.split(","), **spec_fields}
        document = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": spec}
        self.create(document)
        return name

    def create(self, document: dict[str, Any]) -> None:
        """Store a resource."""
        self.ask(RESOURCE_CREATE, ResourceRequest(resource=document))

    def get_pin(self) -> str:
        """Return the pin of the CA that signs."""
        return ca_pin(self.admin.host_ca_certificates[0])

    @property
    def admin(self) -> Identity:
        """Return the identity of the administrator of this host."""
        return load_identity(self.data_dir / "admin.identity")

    async def call(
        self, operation: Operation[RequestT, ResponseT], request: RequestT, identity: Identity | None = None
    ) -> ResponseT:
        """Ask for an operation, as the administrator if nobody else is named."""
        async with connect(self.address, identity or self.admin) as client:
            return await client.call(operation, request)

    def ask(
        self, operation: Operation[RequestT, ResponseT], request: RequestT, identity: Identity | None = None
    ) -> ResponseT:
        """Ask for an operation from a test that is not asynchronous."""
        return asyncio.run(self.call(operation, request, identity))

    def list_resources(self, kind: str) -> list[dict[str, Any]]:
        """Return the resources of a kind."""
        return list(self.ask(RESOURCE_LIST, ListRequest(kind=kind)).resources)

    def list_labels(self, kind: str = "node") -> list[dict[str, str]]:
        """Return the labels of every service of a kind, those of commands included."""
        return [
            each["metadata"].get("labels", {}) | each["spec"].get("dynamic_labels", {})
            for each in self.list_resources(kind)
        ]

    def list_hostnames(self, kind: str = "node") -> list[str]:
        """Return the host names of the services of a kind."""
        return sorted(each["spec"]["hostname"] for each in self.list_resources(kind))

    def read_audit(self, event: str = "") -> list[dict[str, Any]]:
        """Return the events of the audit file, all or those of one name."""
        path = self.data_dir / "audit.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [each for each in events if event in ("", each["event"])]

    def list_joins(self, node_name: str) -> list[bool]:
        """Return whether each attempt of a host to join has succeeded, in their order."""
        events = self.read_audit("instance.join")
        return [event["success"] for event in events if event.get("node_name") == node_name]

    def wait_for_record(self, hostname: str, kind: str = "node") -> None:
        """Wait until a service of a host is listed."""
        wait_until(lambda: hostname in self.list_hostnames(kind), f"{hostname} is listed as {kind}")

    def count(self, metric: str, labels: Mapping[str, str] | None = None) -> float:
        """Return the sum of a metric's samples that have these labels."""
        wanted = (labels or {}).items()
        families = text_string_to_metric_families(self.process.fetch("/metrics")[1])
        samples = [sample for family in families for sample in family.samples if sample.name == metric]
        assert samples, f"there is no metric {metric}"
        return sum(sample.value for sample in samples if wanted <= sample.labels.items())


@dataclass(slots=True)
class Agent:
    """A process that joins; by default an SSH service."""

    processes: Processes
    folder: Path
    auth_server: Address
    flags: Sequence[str] = ()
    roles: str = "node"
    runner: Sequence[str] = ()
    """What runs it, where it is not run as it is."""
    proxy: str = ""
    """The public address through which it reaches auth, where it does not do so directly."""
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        diag = self.processes.reserve_address()
        self.process = Process((), log=self.folder / "agent.log", diag=diag)
        self.processes.add(self.process)

    @property
    def name(self) -> str:
        """Return the host's name."""
        return self.folder.name

    @property
    def data_dir(self) -> Path:
        """Return where its state is."""
        return self.folder / "data"

    @property
    def state(self) -> Path:
        """Return the file with its keys and certificates."""
        return self.data_dir / "proc" / "state.json"

    def read_state(self) -> dict[str, Any]:
        """Return what the agent remembers; nothing before it has stored anything."""
        if not self.state.exists():
            return {}
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    @property
    def host_id(self) -> str:
        """Return the id that auth gave it."""
        return str(self.read_state()["joined"]["host_id"])

    def configure(self, **sections: Any) -> Path:
        """Write a configuration file with some sections and return its path."""
        config = self.folder / "agent.yaml"
        config.write_text(render_yaml({"version": "v3", **sections}))
        return config

    def start(self, *flags: str) -> "Agent":
        """Start it, with flags instead of those it was made with if any are given."""
        self.process.arguments = (
            *self.runner,
            "teleport",
            "start",
            f"--roles={self.roles}",
            f"--proxy={self.proxy}" if self.proxy else f"--auth-server={self.auth_server}",
            f"--nodename={self.name}",
            f"--data-dir={self.data_dir}",
            f"--diag-addr={self.process.diag}",
            f"--listen-ip={HOST}",
            *(flags or self.flags),
        )
        self.process.start()
        return self

    def wait_until_ready(self) -> "Agent":
        """Wait until it has joined and all its services are known."""
        self.process.wait_for_status(200)
        return self


AuthFactory = Callable[..., AuthServer]
"""Makes an auth server for one test, from its name and the fields it shall have; it is not started."""
AgentFactory = Callable[..., Agent]
"""Makes an agent for one test, from its auth server and flags; it is not started."""
