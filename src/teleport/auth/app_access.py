"""Applications for people: what a user may open, and the assertion by which proxy and agent let them in."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from teleport.api import people as p
from teleport.auth import audit
from teleport.auth.access import Caller, CallerKind
from teleport.auth.app_sessions import AppSessions
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority
from teleport.auth.callers import identify
from teleport.auth.recently_told import RecentlyTold
from teleport.auth.records import encode
from teleport.auth.roles import RoleTable
from teleport.auth.stores import Stores
from teleport.auth.web_sessions import WebSessions
from teleport.clock import Clock
from teleport.errors import AccessDenied, BadParameter
from teleport.pki.leaf import parse_leaf
from teleport.pki.pem import CERTIFICATE, parse_pem
from teleport.resources.access_role import AppLabels, Role, check_app_access
from teleport.resources.codec import to_plain
from teleport.resources.model import render_time
from teleport.resources.presence import Server
from teleport.resources.user import Traits

LONGEST_ASSERTION = timedelta(hours=1)
PAGE_SIZE = 1000
_REFUSAL = "there is no such application, or you may not open it"


@dataclass(frozen=True, slots=True)
class Holder:
    """The user for whom something is asked, and until when they are known."""

    user: str
    roles: tuple[str, ...]
    traits: Traits
    until: datetime


class AppAccess:
    """The use cases of applications.

    Args:
        stores: where applications, users and the labels of hosts are.
        roles: what users may open.
        sessions: whose a web session is.
        app_sessions: the sessions of single applications.
        authority: signs assertions and verifies certificates.
        audit_log: told of every session.
        clock: the present.
        local_host_id: the agent in the auth server's own process, whose labels are as good as auth's.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        roles: RoleTable,
        sessions: WebSessions,
        app_sessions: AppSessions,
        authority: Authority,
        audit_log: AuditLog,
        clock: Clock,
        local_host_id: str,
    ) -> None:
        self._stores = stores
        self._roles = roles
        self._sessions = sessions
        self._app_sessions = app_sessions
        self._authority = authority
        self._audit = audit_log
        self._clock = clock
        self._local_host_id = local_host_id
        self._told = RecentlyTold(clock)

    async def list_apps(self, request: p.AppsListRequest, caller: Caller) -> p.AppsListResponse:
        """Return what a user may open, each application once.

        Raises:
            AccessDenied: nobody vouches for the user.
        """
        holder = await self._find_holder(request, caller)
        by_name = {_app_name(server): server for server in reversed(await self._list_open(holder.roles))}
        return p.AppsListResponse(apps=tuple(_describe(by_name[name]) for name in sorted(by_name)))

    async def open_app(self, request: p.AppSessionRequest, caller: Caller) -> p.AppSessionResponse:
        """Return an assertion for an application and the hosts that serve it.

        Raises:
            BadParameter: no application is named.
            AccessDenied: nobody vouches for the user, there is no such application, or it is not for them.
        """
        if bool(request.app) == bool(request.public_addr):
            raise BadParameter("name the application, or its public address")
        holder = await self._find_holder_of_app(request, caller)
        remote_addr = request.remote_addr if caller.kind is CallerKind.HOST else caller.remote_addr
        fields = {"user": holder.user, "app_name": request.app or request.public_addr, "remote_addr": remote_addr}
        servers = await self._list_named(holder, request, fields)
        now = self._clock.now()
        expires = min(holder.until, now + LONGEST_ASSERTION)
        assertion = self._authority.sign_assertion(
            user=holder.user,
            roles=holder.roles,
            traits=holder.traits,
            audiences=tuple(dict.fromkeys(server.spec.uri for server in servers)),
            not_before=now,
            expires=expires,
        )
        shown = request.session_id or request.user_certificate or caller.name
        if not request.app_session_id and self._told.add((shown, fields["app_name"]), expires):
            await self._audit.emit(audit.APP_SESSION_START, success=True, **fields, expires=render_time(expires))
        return p.AppSessionResponse(
            app=_describe(servers[0]),
            user=holder.user,
            roles=holder.roles,
            assertion=assertion,
            host_ids=tuple(dict.fromkeys(server.spec.host_id for server in servers)),
            expires=expires,
        )

    async def launch(self, request: p.AppLaunchRequest, caller: Caller) -> p.AppLaunchResponse:
        """Return a code by which a browser gets into an application, once.

        Raises:
            AccessDenied: the web session is over, there is no such application, or it is not for the user.
        """
        asked = p.AppSessionRequest(session_id=request.session_id, app=request.app)
        holder = await self._find_holder(asked, caller)
        fields = {"user": holder.user, "app_name": request.app, "remote_addr": request.remote_addr}
        await self._list_named(holder, asked, fields)
        return await self._app_sessions.make_code(request.session_id, request.app, request.state)

    async def list_names(self, request: p.AppNamesRequest, _: Caller) -> p.AppNamesResponse:
        """Return every application by name, so that a proxy knows whose hosts are whose."""
        addresses: dict[str, set[str]] = {}
        for server in await self._list_servers():
            addresses.setdefault(_app_name(server), set()).update({server.spec.public_addr} - {""})
        apps = {name: tuple(sorted(addresses[name])) for name in sorted(addresses)}
        revision = hashlib.sha256(encode(apps)).hexdigest()[:32]
        return p.AppNamesResponse(revision=revision, apps=None if revision == request.revision else apps)

    async def tell_rules(self, request: p.AppRulesRequest, caller: Caller) -> p.AppRulesResponse:
        """Return what an agent judges an assertion by."""
        roles = tuple(to_plain(role) for role in self._roles.find(request.roles))
        return p.AppRulesResponse(
            roles=roles,
            labels=await self._stores.host_labels.get(caller.name),
            trusts_declared=caller.name == self._local_host_id,
        )

    async def _list_named(
        self, holder: Holder, request: p.AppSessionRequest, fields: Mapping[str, str]
    ) -> list[Server]:
        """Return the agents at which a user may open an application.

        Raises:
            AccessDenied: there is none.
        """
        servers = [server for server in await self._list_open(holder.roles) if _is_named(server, request)]
        if not servers:
            await self._audit.emit(audit.APP_SESSION_DENIED, success=False, **fields)
            raise AccessDenied(_REFUSAL)
        return servers

    async def _find_holder_of_app(self, request: p.AppSessionRequest, caller: Caller) -> Holder:
        if not request.app_session_id:
            return await self._find_holder(request, caller)
        if request.session_id or request.user_certificate or caller.kind is not CallerKind.HOST:
            raise BadParameter("a proxy names one session, or gives a user's certificate")
        session = await self._app_sessions.find_holder(request.app_session_id, request.app)
        return Holder(session.user, session.roles, session.traits, session.expires)

    async def _find_holder(self, request: p.AppsListRequest, caller: Caller) -> Holder:
        if caller.kind is CallerKind.HOST:
            return await self._find_holder_for_proxy(request)
        if request.session_id or request.user_certificate:
            raise AccessDenied("only a proxy asks for others")
        return await self._build_holder(caller, self._clock.now() + LONGEST_ASSERTION)

    async def _find_holder_for_proxy(self, request: p.AppsListRequest) -> Holder:
        if bool(request.session_id) == bool(request.user_certificate):
            raise BadParameter("name a session, or give a user's certificate")
        if request.session_id:
            asker = Caller(CallerKind.ANONYMOUS)
            session = await self._sessions.show(p.SessionRequest(session_id=request.session_id), asker)
            return Holder(session.user, session.roles, session.traits, session.expires)
        der = parse_pem(request.user_certificate, CERTIFICATE, what="user's certificate")
        user = identify(der, "", authority=self._authority, roles=self._roles, clock=self._clock)
        if user.kind is not CallerKind.USER:
            raise AccessDenied("this is no user's certificate")
        return await self._build_holder(user, parse_leaf(der).not_after)

    async def _build_holder(self, user: Caller, until: datetime) -> Holder:
        """Return a user who has a certificate, with the roles in it that the user has still."""
        stored = await self._stores.users.find(user.name)
        if stored is None:
            raise AccessDenied(f"there is no user {user.name!r}: only users whom auth knows open applications")
        spec = stored.user.spec
        return Holder(user.name, tuple(role for role in spec.roles if role in user.roles), spec.traits, until)

    async def _list_open(self, names: Iterable[str]) -> list[Server]:
        roles = self._roles.find(names)
        labels: dict[str, dict[str, tuple[str, ...]]] = {}
        found = []
        for server in await self._list_servers():
            host_id = server.spec.host_id
            if host_id not in labels:
                labels[host_id] = await self._stores.host_labels.get(host_id)
            if self._is_open(roles, server, labels[host_id]):
                found.append(server)
        return found

    def _is_open(self, roles: Iterable[Role], server: Server, given: dict[str, tuple[str, ...]]) -> bool:
        declared = server.all_labels
        if server.spec.host_id == self._local_host_id:
            given = {key: (value,) for key, value in declared.items()}
        try:
            check_app_access(roles, AppLabels(given, declared))
        except AccessDenied:
            return False
        return True

    async def _list_servers(self) -> list[Server]:
        servers: list[Server] = []
        after = ""
        while True:
            page, after = await self._stores.presence.list_page("app_server", after=after, limit=PAGE_SIZE)
            servers += [server for server in page if isinstance(server, Server) and _app_name(server)]
            if not after:
                return servers


def _app_name(server: Server) -> str:
    """Return the application's own name: the record's begins with the host's id."""
    return server.name.partition("/")[2]


def _is_named(server: Server, request: p.AppSessionRequest) -> bool:
    if request.app:
        return _app_name(server) == request.app
    return server.spec.public_addr == request.public_addr


def _describe(server: Server) -> p.AppInfo:
    return p.AppInfo(
        name=_app_name(server),
        description=server.metadata.description,
        uri=server.spec.uri,
        public_addr=server.spec.public_addr,
        protocol=server.spec.protocol,
        labels=server.all_labels,
    )
