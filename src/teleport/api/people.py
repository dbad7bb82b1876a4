"""The bodies of requests and answers about people: invitations, logins, sessions, and what they may open."""

from typing import Annotated, Literal

from pydantic import Field

from teleport.api.messages import Document, Line, Pem, PublicKeys, TrustBundle
from teleport.resources.model import Labels, Model, Time
from teleport.resources.user import MAX_USER_NAME, RoleNames, Traits

UserName = Annotated[str, Field(max_length=MAX_USER_NAME)]
SecretId = Annotated[str, Field(max_length=128, repr=False)]
Password = Annotated[str, Field(max_length=1024, repr=False)]
Code = Annotated[str, Field(max_length=16, repr=False)]
RemoteAddress = Annotated[str, Field(max_length=64)]
"""Of the browser or of `tsh`, as the proxy sees it; for the audit log."""

HOUR_SECONDS = 3600


class UserInviteRequest(Model):
    """Make a user, and a link by which they set a password and a second factor."""

    user: UserName
    roles: RoleNames
    traits: Traits = Field(default_factory=dict)
    ttl_seconds: Annotated[int, Field(ge=60, le=48 * HOUR_SECONDS)] = HOUR_SECONDS


class UserResetRequest(Model):
    """End a user's password, second factor, lock and sessions, and make a link by which they set new ones."""

    user: UserName
    ttl_seconds: Annotated[int, Field(ge=60, le=24 * HOUR_SECONDS)] = 8 * HOUR_SECONDS


class UserLinkResponse(Model):
    """A link that works once."""

    url: Annotated[str, Field(repr=False)]
    expires: Time


class InviteShowRequest(Model):
    """Look at an invitation."""

    invite_id: SecretId


class InviteShowResponse(Model):
    """Whom a link invites, and the second factor that is offered."""

    user: str
    is_reset: bool
    otpauth_uri: Annotated[str, Field(repr=False)]
    totp_secret: Annotated[str, Field(repr=False)]
    expires: Time


class InviteAcceptRequest(Model):
    """Set the password, and prove that the second factor works."""

    invite_id: SecretId
    password: Password
    code: Code
    remote_addr: RemoteAddress = ""


class LoginRequest(Model):
    """Prove who somebody is."""

    user: UserName
    password: Password
    code: Code
    remote_addr: RemoteAddress = ""


class WebSession(Model):
    """A session that has begun; its id is told this once."""

    session_id: SecretId
    user: str
    roles: tuple[str, ...]
    traits: Traits
    expires: Time


class SessionRequest(Model):
    """Name a session."""

    session_id: SecretId


class SessionResponse(Model):
    """Whose session it is, by the roles of now."""

    user: str
    roles: tuple[str, ...]
    traits: Traits
    expires: Time


class LoginCertificatesRequest(LoginRequest):
    """Prove who somebody is, for certificates instead of a session."""

    keys: PublicKeys
    ttl_seconds: Annotated[int, Field(ge=60, le=12 * HOUR_SECONDS)] = 12 * HOUR_SECONDS


class LoginCertificatesResponse(Model):
    """A user's certificates."""

    user: str
    roles: tuple[str, ...]
    traits: Traits
    tls_certificate: Pem
    ssh_certificate: Line
    trust: TrustBundle
    expires: Time


class AppsListRequest(Model):
    """Ask what may be opened: a proxy says for whom, a user asks for themselves."""

    session_id: SecretId = ""
    user_certificate: Pem = ""
    """In PEM, as the proxy's TLS handshake verified it."""


class AppInfo(Model):
    """An application as users see it."""

    name: str
    description: str
    uri: str
    public_addr: str
    protocol: str
    labels: Labels


class AppsListResponse(Model):
    """What the user may open, by name."""

    apps: tuple[AppInfo, ...]


class AppSessionRequest(AppsListRequest):
    """Open an application, by its name or by its public address."""

    app_session_id: SecretId = ""
    """In place of the others: of a browser that has opened the application already, by its name."""
    app: Annotated[str, Field(max_length=256)] = ""
    public_addr: Annotated[str, Field(max_length=512)] = ""
    remote_addr: RemoteAddress = ""


class AppSessionResponse(Model):
    """The application may be opened, until then, at these hosts."""

    app: AppInfo
    user: str
    roles: tuple[str, ...]
    assertion: Annotated[str, Field(repr=False)]
    """A JSON web token by the cluster's jwt authority; its audience are the application's addresses."""
    host_ids: tuple[str, ...]
    expires: Time


class AppNamesRequest(Model):
    """Ask which applications there are, unless it is known already."""

    revision: Annotated[str, Field(max_length=64)] = ""
    """What the last answer was; that one is not told again."""


class AppNamesResponse(Model):
    """Every application by name, with the public addresses under which its agents offer it."""

    revision: str
    apps: dict[str, tuple[str, ...]] | None
    """None where nothing has changed."""


class AppLaunchRequest(Model):
    """Make a code by which a browser gets from its web session to a session of one application."""

    session_id: SecretId
    app: Annotated[str, Field(max_length=256)]
    state: SecretId
    """What the browser must show on the application's side."""
    remote_addr: RemoteAddress = ""


class AppLaunchResponse(Model):
    """A code that is good once."""

    code: SecretId
    app: str
    expires: Time


class AppRedeemRequest(Model):
    """Begin an application session."""

    code: SecretId
    state: SecretId
    app: Annotated[str, Field(max_length=256)]
    remote_addr: RemoteAddress = ""


class AppRedeemResponse(Model):
    """An application session that has begun; its id is told this once."""

    app_session_id: SecretId
    expires: Time


class AppAssertionRequest(Model):
    """An agent asks for an assertion that says less, for the application itself."""

    assertion: Annotated[str, Field(max_length=16 * 1024, repr=False)]
    uri: Annotated[str, Field(max_length=2048)]
    claims: Literal["roles-and-traits", "roles", "traits", "none"]


class AppAssertionResponse(Model):
    """The assertion that says less."""

    assertion: Annotated[str, Field(repr=False)]


class AppRulesRequest(Model):
    """An agent asks what it needs to judge an application session once more."""

    roles: RoleNames


class AppRulesResponse(Model):
    """The named roles that exist, and the labels that auth gives to this host."""

    roles: tuple[Document, ...]
    labels: dict[str, tuple[str, ...]]
    trusts_declared: bool = False
    """The host is auth's own process, whose labels are as good as auth's."""
