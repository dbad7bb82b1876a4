"""The settings of a process, as everything below the command line sees them."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from teleport.resources.address import Address
from teleport.resources.role import SystemRole

DEFAULT_CONFIG_PATH = Path("/etc/teleport.yaml")
DEFAULT_DIST_DIR = Path("/usr/local/lib/teleport/dist")
DEFAULT_DATA_DIR = Path("/var/lib/teleport")
AUTH_PORT = 3025
PROXY_WEB_PORT = 3080
NODE_PORT = 3022
KUBE_PORT = 3026
WINDOWS_DESKTOP_PORT = 3028
YEAR = timedelta(days=365)
HOST_CERT_TTL = 10 * YEAR
AUTH_LISTEN_ADDR = Address("0.0.0.0", AUTH_PORT)  # noqa: S104 - the original's default
PROXY_LISTEN_ADDR = Address("0.0.0.0", PROXY_WEB_PORT)  # noqa: S104 - the same


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where the process's own log goes."""

    output: str = "stderr"
    """`stderr`, `stdout`, or a file's path."""
    severity: str = "INFO"
    format: str = "text"
    """`text` for people, `json` for machines."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `average` events a period, of which `burst` may come at once."""

    period: timedelta
    average: int
    burst: int


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`teleport.connection_limits`: what one address may cost before it has proved who it is."""

    max_connections: int = 15000
    """Open connections per address, counted before the TLS handshake; the original's default."""
    refused_joins: Rate = Rate(timedelta(minutes=1), average=20, burst=40)
    """Refused joins per address; joins that succeed cost nothing, so that a thousand agents behind one NAT may join."""
    anonymous_requests: Rate = Rate(timedelta(seconds=1), average=100, burst=1000)
    """Requests without a client certificate, per address, whatever their outcome, except joins that succeed."""
    handshake_timeout: timedelta = timedelta(seconds=5)
    request_timeout: timedelta = timedelta(seconds=10)
    """From the first byte of a request to its last."""


@dataclass(frozen=True, slots=True)
class JoinParams:
    """`teleport.join_params`, or `auth_token` in its older spelling."""

    method: str
    token_name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """`teleport.storage`: the auth server's backend."""

    type: str = "sqlite"
    path: Path | None = None
    """SQLite's folder; the default is `<data_dir>/backend`."""


@dataclass(frozen=True, slots=True)
class StaticToken:
    """One entry of `auth_service.tokens`, its file already read."""

    roles: tuple[SystemRole, ...]
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """`auth_service.kubernetes`: auth's way to the API server that vouches for pods.

    Without any of it, an auth server that is a pod asks the API server of its own cluster, as that pod.
    """

    api_server: str = ""
    """An https address, for an auth server outside the cluster; needs the two files."""
    ca_file: Path | None = None
    token_file: Path | None = None
    verification: str = "tokenreview"
    """`tokenreview`, or `jwks` where the right to review tokens is not granted."""
    max_reviews: int = 50
    """So many reviews are under way at once, and further ones wait."""


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """`auth_service`."""

    enabled: bool = False
    cluster_name: str | None = None
    """Decided at the first start; the default is the node name."""
    listen_addr: Address = AUTH_LISTEN_ADDR
    public_addrs: tuple[Address, ...] = ()
    """What agents dial; the first one is shown in invitations."""
    tokens: tuple[StaticToken, ...] = ()
    seal_key_file: Path | None = None
    """`auth_service.seal.key_file`; the default is `<data_dir>/seal.key`, made at the first start."""
    host_cert_ttl: timedelta = HOST_CERT_TTL
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    audit_retention: timedelta = timedelta(days=90)
    """`auth_service.audit.retention`: how long events stay in the store; the JSON lines are the log keeper's."""


@dataclass(frozen=True, slots=True)
class KeyPairFiles:
    """One entry of `proxy_service.https_keypairs`: a certificate, with those between it and its root, and its key."""

    key_file: Path
    cert_file: Path


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """`proxy_service`; whether it is enabled, the services say."""

    web_listen_addr: Address = PROXY_LISTEN_ADDR
    """The one public port: web, API, joining and tunnels."""
    public_addrs: tuple[Address, ...] = ()
    """By which people and agents reach the proxy, maybe through a load balancer."""
    tunnel_public_addrs: tuple[Address, ...] = ()
    """Where tunnels lead to, if that is another address; the first one is told."""
    keypairs: tuple[KeyPairFiles, ...] = ()
    """What browsers are shown, chosen by the name that they ask for; without any, a certificate made here."""
    keypairs_reload_interval: timedelta = timedelta(minutes=1)
    """How often it is looked whether the files have changed; nought: only at start."""
    dist_dir: Path = DEFAULT_DIST_DIR
    """Where the archives are that the install script installs."""
    trust_x_forwarded_for: bool = False
    """One load balancer ends TLS in front of the proxy, nobody else can reach it, and that header is the balancer's."""


@dataclass(frozen=True, slots=True)
class LabelCommand:
    """A label whose value is what a command prints, run anew every period."""

    name: str
    command: tuple[str, ...]
    period: timedelta


@dataclass(frozen=True, slots=True)
class Rewrite:
    """`rewrite` of an application: what its agent changes in requests and answers."""

    redirect: tuple[str, ...] = ()
    """Hosts that stand for the application where it redirects to them."""
    headers: tuple[tuple[str, str], ...] = ()
    """Set in every request, by name and value; `{{internal.jwt}}` and `{{external.TRAIT}}` stand for what they say."""
    jwt_claims: str = "roles-and-traits"
    """What the assertion tells of the user beside the name: `roles-and-traits`, `roles`, `traits` or `none`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One application, database or Kubernetes cluster that an agent serves."""

    name: str
    uri: str = ""
    protocol: str = ""
    description: str = ""
    public_addr: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    commands: tuple[LabelCommand, ...] = ()
    insecure_skip_verify: bool = False
    """Take whatever certificate an application shows."""
    rewrite: Rewrite = Rewrite()


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One service that a process runs as an agent: what it declares about itself and what it serves."""

    role: SystemRole
    listen_addr: Address | None = None
    public_addrs: tuple[Address, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    commands: tuple[LabelCommand, ...] = ()
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process is told at its start."""

    nodename: str
    data_dir: Path = DEFAULT_DATA_DIR
    pid_file: Path | None = None
    advertise_ip: str | None = None
    log: LogSettings = field(default_factory=LogSettings)
    diag_addr: Address | None = None
    auth_server: Address | None = None
    proxy_server: Address | None = None
    join_params: JoinParams | None = None
    ca_pins: tuple[str, ...] = ()
    insecure_skip_ca_pin: bool = False
    """Trust whoever answers as auth; for laboratories."""
    is_insecure: bool = False
    """Do not look at the web certificate of `proxy_server`; for laboratories."""
    skip_version_check: bool = False
    connection_limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    storage: StorageSettings = field(default_factory=StorageSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    services: tuple[ServiceSettings, ...] = ()
    """The agent's services, one for each enabled section; auth is not among them, the proxy is."""
    warnings: tuple[str, ...] = ()
    """What was read and has no effect; said in the log at start."""

    @property
    def applications(self) -> tuple[Target, ...]:
        """Return the applications that the process serves."""
        return next((service.targets for service in self.services if service.role is SystemRole.APP), ())

    @property
    def is_proxy(self) -> bool:
        """Return whether the process is a proxy."""
        return any(service.role is SystemRole.PROXY for service in self.services)
