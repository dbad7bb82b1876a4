"""The one version number of every component, and the original's major version that we are compatible with."""

VERSION = "1.0.0"
COMPATIBLE_MAJOR = 18


def render_version() -> str:
    """Return the line that `tctl version` and `teleport version` print."""
    return f"Teleport v{VERSION} (compatible with Teleport {COMPATIBLE_MAJOR})"
