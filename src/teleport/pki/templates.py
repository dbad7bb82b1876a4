"""What a certificate states, as auth has decided it: the templates from which leaves are signed.

Every attribute of a subject is written by one of these classes and by nothing else; `leaf.py` reads them back.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from teleport.errors import BadParameter
from teleport.pki.names import API_DOMAIN, parse_address, parse_host_names, unique
from teleport.pki.syntax import Attributes
from teleport.resources.model import check_name
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole

COMMON_NAME = "2.5.4.3"
ORGANIZATION = "2.5.4.10"
CLUSTER_NAME = "1.3.9999.1.7"
USER_TYPE = "1.3.9999.1.20"
"""Only on certificates of users and bots, so that none of them can be taken for a host's."""
SYSTEM_ROLE = "1.3.9999.2.11"
BOT_NAME = "1.3.9999.2.18"
BOT_INSTANCE = "1.3.9999.2.20"
POD_UID = "1.3.9999.9.1"
"""The pod to whose life the certificate is bound; the original has no such attribute."""

LOCAL_USER = "local"
MAX_ROLES = 16
MAX_CLUSTER_NAME = 253

_HOST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_POD_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
_BASIC_NAMES = frozenset({SystemRole.AUTH, SystemRole.ADMIN, SystemRole.PROXY})
_REQUESTED_NAMES = _BASIC_NAMES | {SystemRole.KUBE, SystemRole.WINDOWS_DESKTOP}


@dataclass(frozen=True, slots=True)
class HostTemplate:
    """A host's certificate for one role; an Instance certificate lists the process's services as well."""

    is_server: ClassVar[bool] = True

    cluster_name: str
    host_id: str
    role: SystemRole
    not_before: datetime
    not_after: datetime
    system_roles: tuple[SystemRole, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    pod_uid: str = ""

    def __post_init__(self) -> None:
        check_cluster_name(self.cluster_name)
        _check_pod_uid(self.pod_uid)
        if not _HOST_ID.fullmatch(self.host_id):
            raise BadParameter("the host id must be 1 to 128 letters, digits, dashes or underscores")
        if self.role is SystemRole.BOT:
            raise BadParameter("a bot gets no host certificate")
        if (self.role is SystemRole.INSTANCE) != bool(self.system_roles):
            raise BadParameter("an Instance certificate needs system roles, and no other has them")
        if not LOCAL_SERVICE_ROLES.issuperset(self.system_roles):
            raise BadParameter("an Instance certificate lists only roles of local services")

    @property
    def subject(self) -> Attributes:
        """Return the attributes of the subject in order."""
        return (
            (ORGANIZATION, self.role.value),
            (COMMON_NAME, f"{self.host_id}.{self.cluster_name}"),
            *((SYSTEM_ROLE, role.value) for role in self.system_roles),
            (CLUSTER_NAME, self.cluster_name),
            *_build_pod_attribute(self.pod_uid),
        )


@dataclass(frozen=True, slots=True)
class UserTemplate:
    """A person's or a script's certificate; `roles` are the cluster's own, not system roles."""

    is_server: ClassVar[bool] = False
    dns_names: ClassVar[tuple[str, ...]] = ()
    ip_addresses: ClassVar[tuple[str, ...]] = ()

    cluster_name: str
    user: str
    roles: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        check_cluster_name(self.cluster_name)
        check_name(self.user, "user name")
        if not 1 <= len(self.roles) <= MAX_ROLES:
            raise BadParameter(f"a user certificate needs 1 to {MAX_ROLES} roles")
        for role in self.roles:
            check_name(role, "role name")

    @property
    def subject(self) -> Attributes:
        """Return the attributes of the subject in order."""
        return (
            *((ORGANIZATION, role) for role in self.roles),
            (COMMON_NAME, self.user),
            (CLUSTER_NAME, self.cluster_name),
            (USER_TYPE, LOCAL_USER),
        )


@dataclass(frozen=True, slots=True)
class BotTemplate:
    """A bot's certificate; the bot is the user `bot-<name>` and holds the role of that name."""

    is_server: ClassVar[bool] = False
    dns_names: ClassVar[tuple[str, ...]] = ()
    ip_addresses: ClassVar[tuple[str, ...]] = ()

    cluster_name: str
    bot_name: str
    instance_id: str
    not_before: datetime
    not_after: datetime
    pod_uid: str = ""

    def __post_init__(self) -> None:
        check_cluster_name(self.cluster_name)
        _check_pod_uid(self.pod_uid)
        check_name(self.bot_name, "bot name")
        check_name(self.instance_id, "bot instance id")

    @property
    def subject(self) -> Attributes:
        """Return the attributes of the subject in order."""
        return (
            (ORGANIZATION, f"bot-{self.bot_name}"),
            (COMMON_NAME, f"bot-{self.bot_name}"),
            (CLUSTER_NAME, self.cluster_name),
            (USER_TYPE, LOCAL_USER),
            (BOT_NAME, self.bot_name),
            (BOT_INSTANCE, self.instance_id),
            *_build_pod_attribute(self.pod_uid),
        )


Template: TypeAlias = HostTemplate | UserTemplate | BotTemplate


def _check_pod_uid(pod_uid: str) -> None:
    if pod_uid and not _POD_UID.fullmatch(pod_uid):
        raise BadParameter("the pod's UID must be 1 to 64 letters, digits or dashes")


def _build_pod_attribute(pod_uid: str) -> Attributes:
    return ((POD_UID, pod_uid),) if pod_uid else ()


def check_cluster_name(name: str) -> None:
    """Refuse a cluster name that cannot stand in a certificate.

    Raises:
        BadParameter: empty, longer than `MAX_CLUSTER_NAME`, or with a control character.
    """
    check_name(name, "cluster name")
    if len(name) > MAX_CLUSTER_NAME:
        raise BadParameter(f"the cluster name is longer than {MAX_CLUSTER_NAME} characters")


def build_host_names(
    role: SystemRole,
    *,
    cluster_name: str,
    host_id: str,
    additional_principals: Sequence[str] = (),
    requested_dns_names: Sequence[str] = (),
    remote_addr: str = "",
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the DNS names and the IP addresses that a host certificate shall carry.

    The names by which clients know the cluster go to those whom they must recognize, and to nobody else, whatever is
    asked for. As in the original, DNS names that a role may not request are ignored; so is the cluster's own name,
    which an agent on the same machine may well have as its host name.

    Raises:
        BadParameter: a requested name is malformed or reserved.
    """
    own = (f"*.{API_DOMAIN}", API_DOMAIN) if role in _BASIC_NAMES else ()
    dns = tuple(requested_dns_names) if role in _REQUESTED_NAMES else ()
    asked = unique((*additional_principals, *dns))
    names = parse_host_names(asked, host_id=host_id, remote_addr=remote_addr)
    if role not in _BASIC_NAMES:
        names = tuple(name for name in names if name != cluster_name.lower())
    addresses = tuple(name for name in names if parse_address(name) is not None)
    return (*own, *(name for name in names if name not in addresses)), addresses
