"""How a login is shown."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from teleport.cli.escaping import escape
from teleport.cli.profile import Profile
from teleport.config.duration import render_duration
from teleport.resources.model import render_time

_MINUTE = timedelta(minutes=1)


def render_profiles(profiles: Sequence[Profile], active: Profile | None, now: datetime) -> str:
    """Return one block for each login; the active one has a mark, and comes first."""
    ordered = sorted(profiles, key=lambda profile: profile != active)
    return "\n".join(render_profile(profile, now, is_active=profile == active) for profile in ordered)


def render_profile(profile: Profile, now: datetime, *, is_active: bool = True) -> str:
    """Return the block of a login, as the original has it."""
    pairs = [
        ("Profile URL", profile.url),
        ("Logged in as", profile.user),
        ("Cluster", profile.cluster_name),
        ("Roles", ", ".join(profile.roles)),
        ("Logins", ", ".join(profile.logins)),
        ("Kubernetes", "disabled"),
        ("Valid until", f"{profile.valid_until.astimezone(UTC):%Y-%m-%d %H:%M:%S} +0000 UTC {_describe(profile, now)}"),
        ("Extensions", ", ".join(profile.extensions)),
    ]
    lines = [f"  {title + ':':<20}{escape(text)}".rstrip() for title, text in pairs if text]
    return f"{'>' if is_active else ' '}{lines[0][1:]}\n" + "".join(f"{line}\n" for line in lines[1:])


def describe_profile(profile: Profile, *, is_active: bool) -> dict[str, Any]:
    """Return a login for programs, without its keys."""
    return {
        "profile_url": profile.url,
        "username": profile.user,
        "active": is_active,
        "cluster": profile.cluster_name,
        "roles": list(profile.roles),
        "traits": {name: list(values) for name, values in profile.traits.items()},
        "logins": list(profile.logins),
        "kubernetes_enabled": False,
        "valid_until": render_time(profile.valid_until),
        "extensions": list(profile.extensions),
    }


def _describe(profile: Profile, now: datetime) -> str:
    if not profile.is_valid(now):
        return "[EXPIRED]"
    left = profile.valid_until - now
    rounded = timedelta(minutes=round(left / _MINUTE)) if left >= _MINUTE else left
    return f"[valid for {render_duration(rounded)}]"
