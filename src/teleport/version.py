"""The one version number of every component, which versions go together, and which one of the original this is like."""

import re

VERSION = "1.0.0"
COMPATIBLE_MAJOR = 18


def render_version() -> str:
    """Return the line that `tctl version` and `teleport version` print."""
    return f"Teleport v{VERSION} (compatible with Teleport {COMPATIBLE_MAJOR})"


_MAJOR = re.compile(r"v?([0-9]{1,6})(?:[.+-].{0,64})?")
MAX_GAP = 1
"""Client and cluster may differ by one major version."""


def parse_major(version: str) -> int | None:
    """Return the major number of a version, or None if it is no version."""
    match = _MAJOR.fullmatch(version)
    return int(match.group(1)) if match else None


def explain_version_gap(client: str, cluster: str) -> str | None:
    """Return why a client and a cluster do not go together, naming both numbers, or None if they do.

    What is no version is none that this one goes with.
    """
    ours, theirs = parse_major(client), parse_major(cluster)
    if ours is not None and theirs is not None and abs(ours - theirs) <= MAX_GAP:
        return None
    older = "the client" if ours is not None and theirs is not None and ours < theirs else "the cluster"
    return (
        f"the client is of version {client[:32]!r} and the cluster of {cluster[:32]!r}: they may differ by one major "
        f"version; upgrade {older}, or use --skip-version-check"
    )


def find_oldest_client(version: str) -> str:
    """Return the oldest version of a client that goes with a cluster."""
    return f"{max(0, (parse_major(version) or 0) - MAX_GAP)}.0.0"


ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Names of machines in the original's archives, by the name that a kernel has for them."""


def render_archive_name(architecture: str) -> str:
    """Return the name of this version's self-contained archive."""
    return f"teleport-v{VERSION}-linux-{architecture}-bin.tar.gz"
