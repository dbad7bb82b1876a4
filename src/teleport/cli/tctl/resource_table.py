"""How resources of each kind are shown as a table."""

from collections.abc import Sequence
from datetime import datetime

from teleport.cli.output import render_table
from teleport.cli.tctl.authority_text import describe_rotation
from teleport.cli.tctl.instance_table import render_instances
from teleport.cli.tctl.server_table import render_servers
from teleport.cli.tctl.token_table import render_tokens
from teleport.cli.tctl.user_table import render_users
from teleport.resources.access_role import Role
from teleport.resources.authority import CertAuthority
from teleport.resources.model import Resource
from teleport.resources.presence import Instance, Server
from teleport.resources.token import Token
from teleport.resources.user import User


def render_resources(resources: Sequence[Resource], *, now: datetime, width: int | None) -> str:
    """Return the table for resources of one kind."""
    tokens = [each for each in resources if isinstance(each, Token)]
    if tokens:
        return render_tokens(tokens, now)
    servers = [each for each in resources if isinstance(each, Server)]
    if servers:
        return render_servers(servers, width=width)
    instances = [each for each in resources if isinstance(each, Instance)]
    if instances:
        return render_instances(instances)
    users = [each for each in resources if isinstance(each, User)]
    if users:
        return render_users(users)
    roles = [each for each in resources if isinstance(each, Role)]
    if roles:
        return render_table(("Role", "Description"), [(each.name, each.metadata.description) for each in roles])
    return _render_authorities([each for each in resources if isinstance(each, CertAuthority)])


def _render_authorities(authorities: Sequence[CertAuthority]) -> str:
    rows = [(each.spec.cluster_name, each.type.value, describe_rotation(each)) for each in authorities]
    return render_table(("Cluster Name", "CA Type", "Rotation"), rows)
