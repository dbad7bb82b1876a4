"""Logins: the name, the password and the code are judged together, at one price and with one answer."""

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from teleport.api import people as p
from teleport.auth import audit
from teleport.auth.access import Caller
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority
from teleport.auth.join_request import parse_keys
from teleport.auth.passwords import PasswordKeeper
from teleport.auth.roles import RoleTable
from teleport.auth.stores import Stores
from teleport.auth.stores.users import Credentials, StoredUser
from teleport.auth.web_sessions import LONGEST_SESSION, WebSessions
from teleport.backend.protocol import Write
from teleport.clock import Clock
from teleport.errors import AccessDenied, BadParameter, CompareFailed
from teleport.pki.totp import generate_totp_secret, verify_code
from teleport.resources.user import check_user_name
from teleport.web.metrics import Metrics

REFUSAL = "the user name, the password or the code is wrong, or the user is locked for a while"


class Logins:
    """The use cases of proving who somebody is.

    Args:
        stores: where users and failures are.
        roles: bound how long certificates last.
        passwords: verifies.
        sessions: begins web sessions.
        authority: signs certificates.
        audit_log: told of every login.
        metrics: count them.
        clock: the present, for codes and certificates.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        roles: RoleTable,
        passwords: PasswordKeeper,
        sessions: WebSessions,
        authority: Authority,
        audit_log: AuditLog,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._roles = roles
        self._passwords = passwords
        self._sessions = sessions
        self._authority = authority
        self._audit = audit_log
        self._metrics = metrics
        self._clock = clock
        self._nobodys_secret = generate_totp_secret()

    async def begin_session(self, request: p.LoginRequest, _: Caller) -> p.WebSession:
        """Begin a web session.

        Raises:
            AccessDenied: anything is wrong; the answer does not tell what.
        """
        begun: list[p.WebSession] = []

        def begin(user: StoredUser) -> list[Write]:
            session, write = self._sessions.build(user)
            begun.append(session)
            return [write]

        await self._prove(request, "web", begin)
        return begun[0]

    async def issue_certificates(self, request: p.LoginCertificatesRequest, _: Caller) -> p.LoginCertificatesResponse:
        """Return certificates for the keys, until the roles' longest session is over.

        Raises:
            AccessDenied: anything is wrong; the answer does not tell what.
            BadParameter: a key is not acceptable.
        """
        keys = parse_keys(request.keys, self._authority.reserved_keys)
        user = (await self._prove(request, "certificates", lambda _: [])).user
        longest = self._roles.find_session_ttl(user.spec.roles, LONGEST_SESSION)
        ttl = min(longest, timedelta(seconds=request.ttl_seconds))
        issued = self._authority.issue_user(user=user.name, roles=user.spec.roles, ttl=ttl, keys=keys)
        await self._audit.emit(
            audit.CERTIFICATE_CREATE,
            success=True,
            certificate_serial=issued.serial,
            role="User",
            user=user.name,
            roles=list(user.spec.roles),
            remote_addr=request.remote_addr,
        )
        return p.LoginCertificatesResponse(
            user=user.name,
            roles=user.spec.roles,
            traits=user.spec.traits,
            tls_certificate=issued.certificates.tls_certificate,
            ssh_certificate=issued.certificates.ssh_certificate,
            trust=self._authority.trust_bundle,
            expires=issued.not_after,
        )

    async def _prove(
        self, request: p.LoginRequest, purpose: str, begin: Callable[[StoredUser], list[Write]]
    ) -> StoredUser:
        """Judge a login; the code is spent, the failures are forgotten and what begins is written in one commit."""
        if not await self._stores.login_attempts.begin(request.user):
            await self._refuse(request, await self._find_user(request.user), "locked")
        user = await self._find_user(request.user)
        found = await self._stores.users.find_credentials(user.user.name) if user is not None else None
        credentials = found[0] if found else None
        step = await self._judge(credentials, request)
        if user is None or found is None or step is None:
            await self._refuse(request, user, "wrong_password_or_code")
        used = Credentials(found[0].password_hash, found[0].totp_secret, step)
        event = self._audit.build(
            audit.USER_LOGIN, success=True, user=user.user.name, method=purpose, remote_addr=request.remote_addr
        )
        writes = [
            self._stores.users.build_credentials(user.user.name, used),
            self._stores.login_attempts.build_end(request.user),
            *begin(user),
            event.put,
        ]
        try:
            await self._stores.backend.commit([found[1], user.unchanged], writes)
        except CompareFailed:
            await self._refuse(request, user, "code_used")
        self._audit.committed(event)
        self._metrics.logins.inc()
        return user

    async def _judge(self, credentials: Credentials | None, request: p.LoginRequest) -> int | None:
        """Return the step of the code if password and code are right; who has neither costs as much."""
        is_right = await self._passwords.verify(credentials.password_hash if credentials else None, request.password)
        secret, last = (credentials.totp_secret, credentials.last_step) if credentials else (self._nobodys_secret, -1)
        step = verify_code(secret, request.code, now=self._clock.now(), last_step=last)
        return step if is_right else None

    async def _find_user(self, name: str) -> StoredUser | None:
        try:
            check_user_name(name)
        except BadParameter:
            return None
        return await self._stores.users.find(name)

    async def _refuse(self, request: p.LoginRequest, user: StoredUser | None, reason: str) -> NoReturn:
        """Record a refusal, and refuse; a name that nobody has may be a password that was typed in the wrong place."""
        self._metrics.failed_logins.inc()
        await self._audit.emit(
            audit.USER_LOGIN_FAILURE,
            success=False,
            reason=reason,
            user=user.user.name if user else "",
            remote_addr=request.remote_addr,
        )
        raise AccessDenied(REFUSAL)
