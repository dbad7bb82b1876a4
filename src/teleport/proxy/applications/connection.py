"""One client's connection to an application's host: what becomes of each of its requests."""

import ssl
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from teleport.api.client import Client
from teleport.api.operations import APP_REDEEM
from teleport.api.people import AppRedeemRequest
from teleport.clock import Clock
from teleport.errors import AccessDenied, LimitExceeded, NotFound, TeleportError
from teleport.proxy.applications.directory import AppDirectory
from teleport.proxy.applications.launching import (
    AUTH_PATH,
    SESSION_COOKIE,
    STATE_COOKIE,
    build_launch_location,
    check_path,
    is_state,
    make_state,
    render_session_cookie,
    render_state_cookie,
)
from teleport.proxy.applications.pages import build_page, build_redirect, is_navigation, wants_page
from teleport.proxy.applications.sessions import AppSession, AppSessions, Credential
from teleport.proxy.applications.ways import Ways
from teleport.web.call import MAX_PARAMETERS, Peer, Reply
from teleport.web.call import RequestHead as PlainHead
from teleport.web.errors import STATUS_BY_CODE
from teleport.web.forwarded import resolve_peer
from teleport.web.forwarding.destination import Chosen, Destination
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.plan import Forwarded, HeaderPlan
from teleport.web.limits import RateLimiter

ASSERTION_HEADER = b"Teleport-Jwt-Assertion"
_COOKIE = SESSION_COOKIE.encode()
_STATE_COOKIE = STATE_COOKIE.encode()
_HIDDEN = frozenset({_COOKIE, _STATE_COOKIE})
_AUTH_PATH = AUTH_PATH.encode()
_NO_TUNNEL = "no agent that serves this application is connected to this proxy"


class AppParts:
    """What all connections share.

    Args:
        client: to auth.
        directory: whose a host is.
        sessions: what users may open.
        ways: to the agents.
        limiter: how often one address may come without a session that is known here.
        clock: the present.
        trust_forwarded: one load balancer stands in front, and says whose request it is.
    """

    def __init__(
        self,
        *,
        client: Client,
        directory: AppDirectory,
        sessions: AppSessions,
        ways: Ways,
        limiter: RateLimiter,
        clock: Clock,
        trust_forwarded: bool,
    ) -> None:
        self.client = client
        self.directory = directory
        self.sessions = sessions
        self.ways = ways
        self.limiter = limiter
        self.clock = clock
        self.trust_forwarded = trust_forwarded


class AppConnection:
    """Decides about the requests of one connection; what was decided last is not decided anew while it is fresh.

    Args:
        parts: what it decides by.
        peer: the other end; a user's certificate counts for all requests.
    """

    __slots__ = ("_certificate", "_cookie", "_destination", "_parts", "_remote_addr", "as_page", "session")

    def __init__(self, parts: AppParts, peer: Peer) -> None:
        self._parts = parts
        der = peer.certificate_der
        self._certificate = Credential(user_certificate=ssl.DER_cert_to_PEM_cert(der)) if der is not None else None
        self._cookie: bytes | None = None
        self._remote_addr = ""
        self._destination: Destination | None = None
        self.session: AppSession | None = None
        """Which was used last."""
        self.as_page = False
        """Whether the last request was a browser's, who wants to be told in HTML."""

    def choose(self, head: RequestHead, peer: Peer) -> Chosen | Awaitable[Chosen]:
        """Say where a request goes, or what is answered."""
        if self._parts.trust_forwarded:
            peer = _resolve(head, peer)
        session = self.session
        if (
            session is not None
            and self._destination is not None
            and self._remote_addr == peer.remote_addr
            and (self._certificate is not None or head.get_cookie(_COOKIE) == self._cookie)
            and self._parts.clock.now() < session.fresh_until
            and not head.target.startswith(_AUTH_PATH)
        ):
            return self._destination
        return self._decide(head, peer)

    def build_error(self, status: HTTPStatus, message: str, request_id: str) -> Reply:
        """Say that an application cannot be reached."""
        return build_page(status, "bad_gateway", message, as_page=self.as_page, request_id=request_id)

    async def check(self) -> None:
        """Ask again whether the user may still use what is open.

        Raises:
            AccessDenied: not any more.
            TeleportError: auth cannot be asked.
        """
        session = self.session
        if session is not None:
            await self._parts.sessions.open(self._credential, session.app, self._remote_addr)

    async def open_by_certificate(self, app: str, remote_addr: str) -> AppSession:
        """Return the session of the connection's certificate.

        Raises:
            AccessDenied: there is no certificate, or its user may not open the application.
            TeleportError: auth cannot be asked.
        """
        if self._certificate is None:
            raise AccessDenied("a user's certificate is needed")
        self._remote_addr = remote_addr
        self.session = await self._parts.sessions.open(self._certificate, app, remote_addr)
        return self.session

    @property
    def _credential(self) -> Credential:
        return self._certificate or Credential(app_session_id=(self._cookie or b"").decode("latin-1"))

    async def _decide(self, head: RequestHead, peer: Peer) -> Chosen:
        self.as_page = wants_page(head)
        self.session = self._destination = None
        try:
            app = await self._parts.directory.look_up(head.host_name.decode("ascii"))
            if app is None:
                self._charge(peer)
                raise NotFound("there is no such application")
            path = head.target.partition(b"?")[0]
            if path == _AUTH_PATH:
                return await self._redeem(app, head, peer)
            return await self._open(app, head, peer)
        except TeleportError as error:
            if error.code not in STATUS_BY_CODE:
                raise
            return build_page(STATUS_BY_CODE[error.code], error.code, error.message, as_page=self.as_page)

    async def _open(self, app: str, head: RequestHead, peer: Peer) -> Chosen:
        """Find the user's session, and the ways to the application."""
        self._cookie, self._remote_addr = head.get_cookie(_COOKIE), peer.remote_addr
        if self._certificate is None and not self._cookie:
            return self._begin(head, peer)
        if not self._parts.sessions.is_known(self._credential, app):
            self._charge(peer)
        try:
            session = await self._parts.sessions.open(self._credential, app, peer.remote_addr)
        except AccessDenied:
            if self._certificate is None and is_navigation(head):
                return self._begin(head, peer)
            raise
        answer = session.answer
        if answer.app.uri.startswith("tcp:"):
            raise NotFound("the application does not speak HTTP; use `tsh proxy app`")
        if not self._parts.ways.has_any(answer.host_ids):
            return build_page(HTTPStatus.BAD_GATEWAY, "no_tunnel", _NO_TUNNEL, as_page=self.as_page)
        plan = HeaderPlan(
            set_headers=((ASSERTION_HEADER, answer.assertion.encode("ascii")),),
            forwarded=Forwarded(peer.remote_addr),
            hidden_cookies=_HIDDEN,
        )
        upstreams = self._parts.ways.list_upstreams(app, answer.host_ids, remote_addr=peer.remote_addr)
        self.session, self._destination = session, Destination(upstreams, plan)
        return self._destination

    def _begin(self, head: RequestHead, peer: Peer) -> Reply:
        """Send a browser to the proxy, where the user signs in; everybody else learns that they are nobody."""
        self._charge(peer)
        if not is_navigation(head):
            raise AccessDenied("sign in at the proxy, or show a user's certificate")
        state = (head.get_cookie(_STATE_COOKIE) or b"").decode("latin-1")
        state = state if is_state(state) else make_state()
        directory = self._parts.directory
        location = build_launch_location(
            directory.proxy_origin, head.host_name.decode("ascii"), path=head.target.decode("latin-1"), state=state
        )
        return build_redirect(location, render_state_cookie(state))

    async def _redeem(self, app: str, head: RequestHead, peer: Peer) -> Reply:
        """Begin a session by a code, in the browser that asked for it."""
        self._charge(peer)
        query = _read_query(head)
        path, state = check_path(query.get("path", "/")), query.get("state", "")
        if head.method != b"GET":
            raise NotFound("there is no such page")
        if not is_state(state) or head.get_cookie(_STATE_COOKIE) != state.encode():
            raise AccessDenied("this link is another browser's, or old; open the application again")
        request = AppRedeemRequest(code=query.get("code", "")[:128], state=state, app=app, remote_addr=peer.remote_addr)
        begun = await self._parts.client.call(APP_REDEEM, request)
        cookie = render_session_cookie(begun.app_session_id, begun.expires, self._parts.clock.now())
        return build_redirect(path, cookie, render_state_cookie(""))

    def _charge(self, peer: Peer) -> None:
        if not self._parts.limiter.charge(peer.remote_addr):
            raise LimitExceeded(
                "too many requests without a session", self._parts.limiter.retry_after(peer.remote_addr)
            )


def _resolve(head: RequestHead, peer: Peer) -> Peer:
    """Return whose request it is, behind one load balancer."""
    told = b", ".join(value for key, _, value in head.fields if key == b"x-forwarded-for")
    plain = PlainHead("", "", {"x-forwarded-for": told.decode("latin-1")} if told else {})
    return resolve_peer(plain, peer, trusted=True)


def _read_query(head: RequestHead) -> Mapping[str, str]:
    text = head.target.partition(b"?")[2].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:  # too many
        return {}
    return dict(pairs)
