"""Everything about people, put together: who they are, how they prove it, what they may open."""

from collections.abc import Awaitable, Callable
from typing import Any

from teleport.api import operations as ops
from teleport.auth.access import Caller
from teleport.auth.app_access import AppAccess
from teleport.auth.app_assertions import AppAssertions
from teleport.auth.app_sessions import AppSessions
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority
from teleport.auth.enrolment import Enrolment
from teleport.auth.logins import Logins
from teleport.auth.passwords import PasswordKeeper
from teleport.auth.people_resources import RoleResources, UserResources
from teleport.auth.roles import RoleTable
from teleport.auth.stores import Stores
from teleport.auth.web_sessions import WebSessions
from teleport.clock import Clock
from teleport.web.metrics import Metrics


class People:
    """The use cases of people, and their lines of the table of operations.

    Args:
        stores: where everything is.
        roles: the table that is judged by.
        authority: signs certificates and assertions.
        audit_log: told of everything.
        metrics: count logins.
        clock: the present.
        host_id: of the auth server itself.
        passwords: hashes and verifies.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        roles: RoleTable,
        authority: Authority,
        audit_log: AuditLog,
        metrics: Metrics,
        clock: Clock,
        host_id: str,
        passwords: PasswordKeeper,
    ) -> None:
        self.users = UserResources(stores=stores, roles=roles, audit_log=audit_log)
        self.roles = RoleResources(stores=stores, roles=roles, audit_log=audit_log)
        sessions = WebSessions(stores=stores, roles=roles, clock=clock)
        enrolment = Enrolment(
            stores=stores,
            users=self.users,
            passwords=passwords,
            sessions=sessions,
            audit_log=audit_log,
            clock=clock,
            cluster_name=authority.cluster_name,
        )
        logins = Logins(
            stores=stores,
            roles=roles,
            passwords=passwords,
            sessions=sessions,
            authority=authority,
            audit_log=audit_log,
            metrics=metrics,
            clock=clock,
        )
        app_sessions = AppSessions(stores=stores, sessions=sessions, audit_log=audit_log, clock=clock)
        app_assertions = AppAssertions(authority=authority, clock=clock)
        apps = AppAccess(
            stores=stores,
            roles=roles,
            sessions=sessions,
            app_sessions=app_sessions,
            authority=authority,
            audit_log=audit_log,
            clock=clock,
            local_host_id=host_id,
        )
        self.table: dict[ops.Operation[Any, Any], Callable[[Any, Caller], Awaitable[Any]]] = {
            ops.USER_INVITE: enrolment.invite,
            ops.USER_RESET: enrolment.reset,
            ops.INVITE_SHOW: enrolment.show,
            ops.INVITE_ACCEPT: enrolment.accept,
            ops.LOGIN_WEB: logins.begin_session,
            ops.LOGIN_CERTIFICATES: logins.issue_certificates,
            ops.SESSION_SHOW: sessions.show,
            ops.SESSION_END: app_sessions.end,
            ops.APPS_LIST: apps.list_apps,
            ops.APP_SESSION: apps.open_app,
            ops.APP_NAMES: apps.list_names,
            ops.APP_LAUNCH: apps.launch,
            ops.APP_REDEEM: app_sessions.redeem,
            ops.APP_ASSERTION: app_assertions.narrow,
            ops.APP_RULES: apps.tell_rules,
        }
