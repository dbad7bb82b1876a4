"""The table of operations: path, models, and what a caller must be allowed to do.

Every operation is a POST of one JSON document to a fixed path; `trust` and the OpenAPI document are GETs without
input. No value that a caller chooses is ever part of a path: a token's name is a secret, and paths end up in logs.
"""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from teleport.api import messages as m
from teleport.api import people as p

RequestT = TypeVar("RequestT", bound=BaseModel)
ResponseT = TypeVar("ResponseT", bound=BaseModel)

VERSION_HEADER = "Teleport-Version"
"""A header with the client's version; who sends none is not judged by it."""
MAX_BODY_BYTES = 1024 * 1024
MAX_ANONYMOUS_BODY_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Operation(Generic[RequestT, ResponseT]):
    """One thing that can be asked of auth.

    Args:
        name: the last part of the path and the operation's id.
        request: what the body must be.
        response: what the answer is.
        verb: what access is asked for; for operations on a resource that the body names, the kind comes from there.
        kind: the kind of resource the verb acts on, or None where the body names it.
        summary: one line for the OpenAPI document.
        anonymous: callers without a certificate may ask, too.
        method: the HTTP method.
        refusals: statuses beside those that every operation may answer with.
    """

    name: str
    request: type[RequestT]
    response: type[ResponseT]
    verb: str
    kind: str | None
    summary: str
    anonymous: bool = False
    method: Literal["GET", "POST"] = "POST"
    refusals: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Return the path below which the API's first version lives."""
        return f"/v1/{self.name}"


TRUST = Operation(
    "trust", m.Empty, m.TrustResponse, "read", "trust", "Host CA certificates, to hold against a CA pin",
    anonymous=True, method="GET",
)  # fmt: skip
JOIN = Operation("join", m.JoinRequest, m.JoinResponse, "create", "join", "Join the cluster", anonymous=True)
PING = Operation("ping", m.Empty, m.PingResponse, "read", "cluster", "Who answers")
TRUST_BUNDLE = Operation(
    "trust_bundle", m.TrustBundleRequest, m.TrustBundleResponse, "read", "trust_bundle", "Everything the cluster trusts"
)
HOST_CERTIFICATES = Operation(
    "host_certificates", m.HostCertificatesRequest, m.Certificates, "create", "host_certificate",
    "Certificates for a service of a joined process",
)  # fmt: skip
USER_CERTIFICATES = Operation(
    "user_certificates", m.UserCertificatesRequest, m.UserCertificatesResponse, "create", "user_certificate",
    "Sign an identity for a user",
)  # fmt: skip
HEARTBEAT = Operation("heartbeat", m.HeartbeatRequest, m.HeartbeatResponse, "update", "presence", "Say: alive")
GOODBYE = Operation("goodbye", m.GoodbyeRequest, m.Empty, "delete", "presence", "Say: gone")
TOKEN_USES = Operation("token_uses", m.TokenUsesRequest, m.TokenUsesResponse, "list", "token_use", "A token's ledger")
TOKEN_CHANGES = Operation(
    "token_changes", m.TokenChangesRequest, m.TokenChangesResponse, "watch", "token",
    "Wait until tokens change, and say which", refusals=("429",),
)  # fmt: skip
ENDED_MEMBERSHIPS = Operation(
    "memberships/ended", m.EndedMembershipsRequest, m.EndedMembershipsResponse, "list", "membership",
    "Which memberships that were bound to pods have ended",
)  # fmt: skip
RESOURCE_CREATE = Operation(
    "resources/create", m.ResourceRequest, m.ResourceResponse, "create", None, "Create a resource whose name is free"
)
RESOURCE_UPSERT = Operation(
    "resources/upsert", m.ResourceRequest, m.ResourceResponse, "upsert", None, "Create or replace a resource"
)
RESOURCE_UPDATE = Operation(
    "resources/update", m.ResourceRequest, m.ResourceResponse, "update", None,
    "Replace a resource that is still at the revision given",
)  # fmt: skip
RESOURCE_GET = Operation("resources/get", m.GetRequest, m.ResourceResponse, "read", None, "Read a resource")
RESOURCE_LIST = Operation("resources/list", m.ListRequest, m.ListResponse, "list", None, "Read a page of resources")
RESOURCE_DELETE = Operation("resources/delete", m.DeleteRequest, m.DeleteResponse, "delete", None, "Delete a resource")
USER_INVITE = Operation(
    "users/invite", p.UserInviteRequest, p.UserLinkResponse, "create", "user", "Create a user and invite them",
    refusals=("409",),
)  # fmt: skip
USER_RESET = Operation(
    "users/reset", p.UserResetRequest, p.UserLinkResponse, "update", "user", "Let a user set a new password",
    refusals=("404", "412"),
)  # fmt: skip
INVITE_SHOW = Operation(
    "login/invite", p.InviteShowRequest, p.InviteShowResponse, "create", "login", "Look at an invitation",
    refusals=("404",),
)  # fmt: skip
INVITE_ACCEPT = Operation(
    "login/accept", p.InviteAcceptRequest, p.WebSession, "create", "login", "Set a password", refusals=("404", "412")
)
LOGIN_WEB = Operation("login/web", p.LoginRequest, p.WebSession, "create", "login", "Begin a web session")
LOGIN_CERTIFICATES = Operation(
    "login/certificates", p.LoginCertificatesRequest, p.LoginCertificatesResponse, "create", "login",
    "Certificates for a user who proves who they are",
)  # fmt: skip
SESSION_SHOW = Operation("login/session", p.SessionRequest, p.SessionResponse, "create", "login", "Whose session it is")
SESSION_END = Operation("login/logout", p.SessionRequest, m.Empty, "create", "login", "End a web session")
APPS_LIST = Operation("apps/list", p.AppsListRequest, p.AppsListResponse, "list", "app", "What a user may open")
APP_SESSION = Operation(
    "apps/session", p.AppSessionRequest, p.AppSessionResponse, "create", "app_session", "Open an application"
)
APP_NAMES = Operation(
    "apps/names", p.AppNamesRequest, p.AppNamesResponse, "read", "app_names", "Which applications there are"
)
APP_LAUNCH = Operation(
    "apps/launch", p.AppLaunchRequest, p.AppLaunchResponse, "create", "app_launch", "Let a browser into an application"
)
APP_REDEEM = Operation(
    "apps/redeem", p.AppRedeemRequest, p.AppRedeemResponse, "create", "app_launch", "Begin an application session"
)
APP_ASSERTION = Operation(
    "apps/assertion", p.AppAssertionRequest, p.AppAssertionResponse, "create", "app_assertion",
    "An assertion that says less",
)  # fmt: skip
APP_RULES = Operation(
    "apps/rules", p.AppRulesRequest, p.AppRulesResponse, "read", "app_rules", "What an agent judges by"
)

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    TRUST,
    JOIN,
    PING,
    TRUST_BUNDLE,
    HOST_CERTIFICATES,
    USER_CERTIFICATES,
    HEARTBEAT,
    GOODBYE,
    TOKEN_USES,
    TOKEN_CHANGES,
    ENDED_MEMBERSHIPS,
    RESOURCE_CREATE,
    RESOURCE_UPSERT,
    RESOURCE_UPDATE,
    RESOURCE_GET,
    RESOURCE_LIST,
    RESOURCE_DELETE,
    USER_INVITE,
    USER_RESET,
    INVITE_SHOW,
    INVITE_ACCEPT,
    LOGIN_WEB,
    LOGIN_CERTIFICATES,
    SESSION_SHOW,
    SESSION_END,
    APPS_LIST,
    APP_SESSION,
    APP_NAMES,
    APP_LAUNCH,
    APP_REDEEM,
    APP_ASSERTION,
    APP_RULES,
)
OPENAPI_PATH = "/v1/openapi.json"
