"""How a user gets a password and a second factor: by a link that works once."""

from dataclasses import dataclass
from datetime import timedelta

from teleport.api import people as p
from teleport.auth import audit
from teleport.auth.access import Caller
from teleport.auth.audit import AuditLog
from teleport.auth.passwords import PasswordKeeper, check_password
from teleport.auth.people_resources import UserResources
from teleport.auth.stores import Stores
from teleport.auth.stores.invites import MAX_INVITES, Invite, generate_id
from teleport.auth.stores.users import Credentials
from teleport.auth.web_sessions import WebSessions
from teleport.backend.protocol import Write
from teleport.clock import Clock
from teleport.errors import AccessDenied, CompareFailed, LimitExceeded, NotFound
from teleport.pki.totp import build_otpauth_uri, generate_totp_secret, verify_code
from teleport.resources.model import Metadata
from teleport.resources.presence import Server
from teleport.resources.user import User, UserSpec

MAX_WRONG_CODES = 5
UNKNOWN_PROXY = "<proxyhost>:3080"


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """An invite, and the id that is told once."""

    invite: Invite
    invite_id: str


class Enrolment:
    """The use cases of links.

    Args:
        stores: where users, invitations and proxies are.
        users: makes users.
        passwords: hashes.
        sessions: begins one for whoever has just proved who they are.
        audit_log: told of everything.
        clock: when links end.
        cluster_name: what authenticators show.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        users: UserResources,
        passwords: PasswordKeeper,
        sessions: WebSessions,
        audit_log: AuditLog,
        clock: Clock,
        cluster_name: str,
    ) -> None:
        self._stores = stores
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._audit = audit_log
        self._clock = clock
        self._cluster_name = cluster_name

    async def invite(self, request: p.UserInviteRequest, caller: Caller) -> p.UserLinkResponse:
        """Make a user and their link.

        Raises:
            BadParameter: the name, a trait or a role is not acceptable.
            AlreadyExists: there is such a user.
        """
        spec = UserSpec(roles=request.roles, traits=request.traits)
        user = self._users.check(User(metadata=Metadata(name=request.user), spec=spec))
        link = await self._open_link(user.name, timedelta(seconds=request.ttl_seconds), is_reset=False)
        await self._users.create_with(user, caller, [self._stores.invites.build_put(link.invite)])
        return await self._tell(link)

    async def reset(self, request: p.UserResetRequest, caller: Caller) -> p.UserLinkResponse:
        """Forget what a user proves themselves by, end lock, links and sessions, and make a link.

        Raises:
            NotFound: there is no such user.
        """
        present = await self._stores.users.get(request.user)
        link = await self._open_link(request.user, timedelta(seconds=request.ttl_seconds), is_reset=True)
        former: list[Write] = [invite.removal for invite in await self._stores.invites.list_of_user(request.user)]
        event = self._audit.build(
            audit.USER_RESET, name=request.user, user=caller.name, user_kind=caller.kind, remote_addr=caller.remote_addr
        )
        opened = self._stores.invites.build_put(link.invite)
        unlock = self._stores.login_attempts.build_end(request.user)
        await self._stores.users.reset(present, [*former, opened, unlock, event.put])
        self._audit.committed(event)
        return await self._tell(link)

    async def show(self, request: p.InviteShowRequest, _: Caller) -> p.InviteShowResponse:
        """Tell whom a link invites.

        Raises:
            NotFound: the link is not known, was used, or its time is over.
        """
        invite = await self._stores.invites.get(request.invite_id)
        uri = build_otpauth_uri(secret=invite.totp_secret, user=invite.user, issuer=self._cluster_name)
        return p.InviteShowResponse(
            user=invite.user,
            is_reset=invite.is_reset,
            otpauth_uri=uri,
            totp_secret=invite.totp_secret,
            expires=invite.expires,
        )

    async def accept(self, request: p.InviteAcceptRequest, _: Caller) -> p.WebSession:
        """Set password and second factor, and begin a session; the link is used up in the same commit.

        Raises:
            NotFound: the link is not known, was used, or its time is over.
            BadParameter: the password is too short or too long.
            AccessDenied: the code is wrong; after five the link is over.
        """
        invite = await self._stores.invites.get(request.invite_id)
        check_password(request.password)
        step = verify_code(invite.totp_secret, request.code, now=self._clock.now())
        if step is None:
            await self._stores.invites.count_failure(invite, MAX_WRONG_CODES)
            raise AccessDenied("the code is wrong; is the clock of the authenticator right?")
        user = await self._stores.users.get(invite.user)
        credentials = Credentials(await self._passwords.hash(request.password), invite.totp_secret, step)
        session, begin = self._sessions.build(user)
        event = self._audit.build(
            audit.USER_PASSWORD_CHANGE, success=True, user=invite.user, remote_addr=request.remote_addr
        )
        writes: list[Write] = [
            invite.removal,
            self._stores.users.build_credentials(invite.user, credentials),
            self._stores.login_attempts.build_end(invite.user),
            begin,
            event.put,
        ]
        try:
            await self._stores.backend.commit([invite.unchanged, user.unchanged], writes)
        except CompareFailed as error:
            raise NotFound("this link was used a moment ago, or the user was changed; open it again") from error
        self._audit.committed(event)
        return session

    async def _open_link(self, user: str, ttl: timedelta, *, is_reset: bool) -> OpenedLink:
        if len(await self._stores.invites.list_all()) >= MAX_INVITES:
            raise LimitExceeded(f"{MAX_INVITES} links are open; remove some with `tctl tokens rm`")
        invite_id = generate_id()
        invite = Invite(
            lookup_id=self._stores.invites.lookup_id(invite_id),
            user=user,
            is_reset=is_reset,
            totp_secret=generate_totp_secret(),
            expires=self._clock.now() + ttl,
        )
        return OpenedLink(invite, invite_id)

    async def _tell(self, link: OpenedLink) -> p.UserLinkResponse:
        page = "reset" if link.invite.is_reset else "invite"
        url = f"https://{await self._find_proxy()}/web/{page}/{link.invite_id}"
        return p.UserLinkResponse(url=url, expires=link.invite.expires)

    async def _find_proxy(self) -> str:
        servers, _ = await self._stores.presence.list_page("proxy", after="", limit=100)
        known = [server.spec.public_addr or server.spec.addr for server in servers if isinstance(server, Server)]
        return next((address.removesuffix(":443") for address in known if address), UNKNOWN_PROXY)
