"""haproxy as the load balancer before proxies, as Debian has it."""

import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.processes import PATIENCE, Process, Processes, wait_until
from teleport.resources.address import Address

_CONFIG = """
global
    log stderr local0 notice
defaults
    mode {mode}
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    retries 3
    option redispatch
    option log-health-checks
    log global
listen proxies
    bind {bind}
    balance {balance}
{servers}
"""


@dataclass(slots=True)
class Balancer:
    """A load balancer; `use` may be called again and again."""

    processes: Processes
    folder: Path
    address: Address = field(init=False)
    balance: str = "roundrobin"
    certificate: Path | None = None
    """With one the balancer ends TLS and speaks HTTPS to the proxies."""
    _process: Process | None = None

    def __post_init__(self) -> None:
        if shutil.which("haproxy") is None:
            pytest.skip("NOT TESTED: proxies behind a real load balancer need haproxy (apt-get install haproxy)")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = self.processes.reserve_address()

    def use(self, proxies: Sequence[Address]) -> "Balancer":
        """Pass connections on to these proxies, and to no others; those that there are already are cut."""
        config = self.folder / "haproxy.cfg"
        config.write_text(self._render(proxies))
        if self._process is not None:
            self._process.kill()
        arguments = ("haproxy", "-db", "-f", str(config))
        self._process = Process(arguments, log=self.folder / "haproxy.log", diag=self.address)
        self.processes.add(self._process)
        self._process.start()
        wait_until(self._answers, "the balancer listens")
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(PATIENCE)
            return probe.connect_ex((self.address.host, self.address.port)) == 0

    def _render(self, proxies: Sequence[Address]) -> str:
        tls = " ssl verify none alpn http/1.1" if self.certificate else ""
        bind = f"{self.address} ssl crt {self.certificate} alpn http/1.1" if self.certificate else str(self.address)
        servers = "\n".join(
            f"    server proxy{number} {address}{tls} check inter 200ms fall 1 rise 1"
            for number, address in enumerate(proxies)
        )
        return _CONFIG.format(
            mode="http" if self.certificate else "tcp", bind=bind, balance=self.balance, servers=servers
        )
