"""How the state of a certificate authority is put into words."""

from datetime import UTC, datetime

from teleport.resources.authority import CertAuthority


def describe_rotation(authority: CertAuthority) -> str:
    """Say whether and when the authority's keys were last exchanged, or how far that is."""
    rotation = authority.spec.rotation
    if rotation.state == "in_progress":
        return f"rotation in progress, phase {rotation.phase}"
    return "never updated" if rotation.last_rotated is None else f"rotated {_render_date(rotation.last_rotated)}"


def _render_date(when: datetime) -> str:
    utc = when.astimezone(UTC)
    return f"{utc:%b} {utc.day:2d} {utc:%Y %H:%M:%S} UTC"
