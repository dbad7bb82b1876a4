"""The text that tells a person how to start the invited service."""

import shlex
from dataclasses import dataclass, field
from datetime import timedelta

from teleport.resources.role import SystemRole
from teleport.version import VERSION


@dataclass(frozen=True, slots=True)
class Invitation:
    """A token, and where and how to use it."""

    token: str = field(repr=False)
    roles: tuple[SystemRole, ...]
    ttl: timedelta
    ca_pins: tuple[str, ...]
    auth_address: str
    proxy_address: str = ""
    """Empty while the cluster has no proxy."""

    @property
    def role_names(self) -> str:
        """Return the roles as `--roles` wants them."""
        return ",".join(role.lower() for role in self.roles)


@dataclass(frozen=True, slots=True)
class Target:
    """The application or database that the invited service is to serve; it only appears in the text."""

    name: str
    uri: str
    protocol: str = ""


def render_invitation(invitation: Invitation, *, app: Target, database: Target) -> str:
    """Return the text for the invitation's roles; where it would need a proxy and there is none, the general one."""
    if not invitation.proxy_address:
        return render_node_text(invitation)
    if SystemRole.KUBE in invitation.roles:
        return _render_kube_text(invitation)
    if SystemRole.APP in invitation.roles:
        return _render_app_text(invitation, app)
    if SystemRole.DB in invitation.roles:
        return _render_db_text(invitation, database)
    return render_node_text(invitation)


def render_node_text(invitation: Invitation) -> str:
    """Return the text for a process that talks to auth directly."""
    life = _render_life(invitation, whole=True)
    return f"""\
The invite token: {invitation.token}
This token will expire in {life}.

Run this on the new node to join the cluster:

{_render_command(invitation, f"--auth-server={invitation.auth_address}")}

Please note:

  - This invitation token will expire in {life}
  - {invitation.auth_address} must be reachable from the new node
"""


def _render_kube_text(invitation: Invitation) -> str:
    life = _render_life(invitation)
    roles = "\\,".join(role.lower() for role in invitation.roles)
    return f"""\
The invite token: {invitation.token}
This token will expire in {life}.

Run this to install an agent into the Kubernetes cluster:

> helm install teleport-agent teleport/teleport-kube-agent \\
   --set roles="{roles}" \\
   --set proxyAddr={invitation.proxy_address} \\
   --set authToken={shlex.quote(invitation.token)} \\
   --create-namespace \\
   --namespace=teleport-agent \\
   --version={VERSION}

Please note:

  - This invitation token will expire in {life}
  - {invitation.proxy_address} must be reachable from the Kubernetes cluster
"""


def _render_app_text(invitation: Invitation, app: Target) -> str:
    life = _render_life(invitation)
    flags = (f"--app-name={shlex.quote(app.name)}", f"--app-uri={shlex.quote(app.uri)}")
    host = invitation.proxy_address.rpartition(":")[0]
    return f"""\
The invite token: {invitation.token}
This token will expire in {life}.

Run this on a host that reaches the application:

{_render_command(invitation, f"--proxy={invitation.proxy_address}", *flags)}

The application will be available at {app.name}.{host}.

Please note:

  - This invitation token will expire in {life}
  - {invitation.proxy_address} must be reachable from the new application service
  - The DNS name {app.name}.{host} must lead to the proxy, and the proxy needs a certificate for it
"""


def _render_db_text(invitation: Invitation, database: Target) -> str:
    life = _render_life(invitation)
    return f"""\
The invite token: {invitation.token}
This token will expire in {life}.

Name the database in /etc/teleport.yaml of a host that reaches it:

db_service:
  enabled: "yes"
  databases:
    - name: {database.name}
      protocol: {database.protocol}
      uri: {database.uri}

and run this there:

{_render_command(invitation, f"--proxy={invitation.proxy_address}")}

Please note:

  - This invitation token will expire in {life}
  - {invitation.proxy_address} must be reachable from the new database service
"""


def _render_command(invitation: Invitation, *further: str) -> str:
    flags = [
        f"--roles={invitation.role_names}",
        f"--token={shlex.quote(invitation.token)}",
        *(f"--ca-pin={pin}" for pin in invitation.ca_pins),
        *further,
    ]
    return " \\\n".join(["> teleport start", *(f"   {flag}" for flag in flags)])


def _render_life(invitation: Invitation, *, whole: bool = False) -> str:
    """Write a life as the original does, in minutes, whole or not; one that is shorter than a minute in seconds."""
    minutes = invitation.ttl / timedelta(minutes=1)
    if minutes < 1:
        return f"{invitation.ttl.total_seconds():g} seconds"
    return f"{int(minutes) if whole else f'{minutes:g}'} minutes"
