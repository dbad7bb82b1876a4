"""The certificate authorities in the store, sealed; made once for the cluster, however many auth servers start."""

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Item, Put
from teleport.clock import Clock
from teleport.config.settings import HOST_CERT_TTL
from teleport.errors import CompareFailed, NotFound
from teleport.pki.authority import create_jwt_authority, create_ssh_authority, create_tls_authority
from teleport.pki.seal import Sealer
from teleport.resources.authority import AuthoritySpec, AuthorityType, CertAuthority, KeySet
from teleport.resources.model import Metadata

PREFIX = "authorities/"
KIND = "cert_authority"
AUTHORITY_LIFE = HOST_CERT_TTL
"""A new CA lives as long as the certificates that it may sign, as in the original: ten years."""

_WITH_TLS = frozenset({AuthorityType.HOST, AuthorityType.USER, AuthorityType.DB, AuthorityType.SAML_IDP})
_WITH_SSH = frozenset({AuthorityType.HOST, AuthorityType.USER, AuthorityType.OPENSSH})
_WITH_JWT = frozenset({AuthorityType.JWT})


class AuthorityStore:
    """The authorities of the cluster.

    Args:
        backend: where they are.
        sealer: seals their private keys.
        clock: when a new one begins.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer, clock: Clock) -> None:
        self._backend = backend
        self._sealer = sealer
        self._clock = clock

    async def load_or_create(self, cluster_name: str) -> dict[AuthorityType, CertAuthority]:
        """Return all authorities; those that the cluster does not have yet are made.

        Of two auth servers that start at once one makes an authority, and the other takes it over.
        """
        present = await self.load()
        for kind in AuthorityType:
            if kind not in present:
                await self._create(self._build(cluster_name, kind))
        return await self.load()

    async def load(self) -> dict[AuthorityType, CertAuthority]:
        """Return the authorities that the cluster has."""
        items = await self._backend.range(PREFIX)
        authorities = [self._open(item) for item in items]
        return {authority.type: authority for authority in authorities}

    async def get(self, kind: AuthorityType) -> CertAuthority:
        """Return one authority.

        Raises:
            NotFound: the cluster has none of this type.
        """
        item = await self._backend.get(PREFIX + kind)
        if item is None:
            raise NotFound(f"the cluster has no {kind} authority")
        return self._open(item)

    async def replace(self, authority: CertAuthority) -> None:
        """Store an authority that is still at the revision which the new one names.

        Raises:
            CompareFailed: it has moved on.
        """
        key = PREFIX + authority.type
        await self._backend.commit([Condition(key, int(authority.metadata.revision))], [self._seal(authority)])

    def _build(self, cluster_name: str, kind: AuthorityType) -> CertAuthority:
        now = self._clock.now()
        life = {"not_before": now, "not_after": now + AUTHORITY_LIFE}
        keys = KeySet(
            tls=(create_tls_authority(cluster_name, **life),) if kind in _WITH_TLS else (),
            ssh=(create_ssh_authority(),) if kind in _WITH_SSH else (),
            jwt=(create_jwt_authority(),) if kind in _WITH_JWT else (),
        )
        spec = AuthoritySpec(cluster_name=cluster_name, active_keys=keys)
        return CertAuthority(sub_kind=kind, metadata=Metadata(name=cluster_name), spec=spec)

    async def _create(self, authority: CertAuthority) -> None:
        try:
            await self._backend.commit([Condition(PREFIX + authority.type, None)], [self._seal(authority)])
        except CompareFailed:
            return  # another auth server was first; its authority is the cluster's

    def _seal(self, authority: CertAuthority) -> Put:
        key = PREFIX + authority.type
        plain = authority.with_metadata(revision="").model_dump(mode="json", exclude_none=True)
        return Put(key, self._sealer.seal(encode(plain), key=key, kind=KIND))

    def _open(self, item: Item) -> CertAuthority:
        plain = decode(self._sealer.open(item.value, key=item.key, kind=KIND))
        return CertAuthority.model_validate(plain).with_metadata(revision=str(item.revision))
