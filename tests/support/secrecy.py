"""Looks for secrets where none may be: in logs, audit events, metrics, lists and files."""

from collections.abc import Iterable
from pathlib import Path

from support.cluster import Agent, AuthServer

PRIVATE_KEY = "PRIVATE KEY"


def assert_untold(auth: AuthServer, *secrets: str, agents: Iterable[Agent] = ()) -> None:
    """Fail if a secret, or any private key, is in something that people or machines collect."""
    places = {
        "the auth server's log": auth.process.log,
        "the audit file": (auth.data_dir / "audit.jsonl").read_text(),
        "metrics": auth.process.fetch("/metrics")[1] + auth.process.fetch("/readyz")[1],
    }
    for agent in agents:
        places[f"the log of {agent.name}"] = agent.process.log
        places[f"metrics of {agent.name}"] = agent.process.fetch("/metrics")[1] + agent.process.fetch("/readyz")[1]
    for place, text in places.items():
        for secret in (*secrets, PRIVATE_KEY):
            assert secret not in text, f"{place} tell a secret"


def find_bytes(folder: Path, needles: Iterable[bytes]) -> list[tuple[str, bytes]]:
    """Return which needles are in which files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(path.name, needle) for path in files for needle in needles if needle in path.read_bytes()]
