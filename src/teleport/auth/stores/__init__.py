"""What the stored bytes mean: one module for each thing that is kept. Nothing here decides who may do what."""

from dataclasses import dataclass
from datetime import timedelta

from teleport.auth.stores.app_sessions import AppSessionStore
from teleport.auth.stores.authorities import AuthorityStore
from teleport.auth.stores.host_labels import HostLabelStore
from teleport.auth.stores.invites import InviteStore
from teleport.auth.stores.ledger import Ledger
from teleport.auth.stores.login_attempts import LoginAttempts
from teleport.auth.stores.pod_members import PodMemberStore
from teleport.auth.stores.presence import PresenceStore
from teleport.auth.stores.roles import RoleStore
from teleport.auth.stores.static_tokens import StaticTokenStore
from teleport.auth.stores.tokens import TokenStore
from teleport.auth.stores.users import UserStore
from teleport.auth.stores.web_sessions import WebSessionStore
from teleport.backend.protocol import Backend
from teleport.clock import Clock
from teleport.pki.seal import Sealer


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that an auth server keeps."""

    backend: Backend
    authorities: AuthorityStore
    tokens: TokenStore
    static_tokens: StaticTokenStore
    presence: PresenceStore
    pod_members: PodMemberStore
    ledger: Ledger
    host_labels: HostLabelStore
    users: UserStore
    roles: RoleStore
    invites: InviteStore
    login_attempts: LoginAttempts
    web_sessions: WebSessionStore
    app_sessions: AppSessionStore


def build_stores(backend: Backend, sealer: Sealer, *, clock: Clock, retention: timedelta) -> Stores:
    """Return the stores over one backend; `retention` is how long the ledger remembers."""
    return Stores(
        backend=backend,
        authorities=AuthorityStore(backend=backend, sealer=sealer, clock=clock),
        tokens=TokenStore(backend=backend, sealer=sealer, clock=clock),
        static_tokens=StaticTokenStore(backend=backend, sealer=sealer),
        presence=PresenceStore(backend=backend),
        pod_members=PodMemberStore(backend=backend),
        ledger=Ledger(backend=backend, retention=retention),
        host_labels=HostLabelStore(backend=backend),
        users=UserStore(backend=backend, sealer=sealer),
        roles=RoleStore(backend=backend),
        invites=InviteStore(backend=backend, sealer=sealer),
        login_attempts=LoginAttempts(backend=backend, sealer=sealer, clock=clock),
        web_sessions=WebSessionStore(backend=backend, sealer=sealer),
        app_sessions=AppSessionStore(backend=backend, sealer=sealer),
    )
