"""Configurations for tests: the smallest ones that are accepted, and how one is read."""

from teleport.config.load import load_settings
from teleport.config.settings import Settings
from teleport.config.start_flags import StartFlags
from teleport.errors import BadConfiguration

HOSTNAME = "host-of-the-test"
PIN = "sha256:" + "0123456789abcdef" * 4
AUTH = "version: v3\nproxy_service: {enabled: no}\nssh_service: {enabled: no}\n"
"""An auth server and nothing else; more sections may follow."""
NODE = "version: v3\nauth_service: {enabled: no}\nproxy_service: {enabled: no}\nteleport:\n  auth_server: auth:3025\n"
"""A node that joins an auth server; more keys of `teleport` may follow."""


def load(text: str, flags: StartFlags | None = None) -> Settings:
    """Read a configuration on a host of a known name."""
    return load_settings(text, hostname=HOSTNAME, flags=flags or StartFlags())


def find_problems(text: str, flags: StartFlags | None = None) -> tuple[str, ...]:
    """Return what is wrong with a configuration; nothing if it is accepted."""
    try:
        load(text, flags)
    except BadConfiguration as error:
        return error.problems
    return ()
