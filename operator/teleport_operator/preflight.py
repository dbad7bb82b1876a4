"""Whether an operator could work where it is: every thing that it needs is asked for once, and nothing is changed."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from teleport.api.client import connect
from teleport.api.messages import ListRequest
from teleport.api.operations import RESOURCE_LIST
from teleport.clock import Clock
from teleport.errors import TeleportError
from teleport.join.method import Judge
from teleport.kube.api import KubeApi
from teleport.kube.connection import KubeConnection, Question
from teleport.kube.custom_objects import CustomObjects
from teleport.kube.errors import Forbidden, Missing, NoAnswer
from teleport.kube.objects import read_block
from teleport_operator.declaration import GROUP, KIND, PLURAL, VERSION
from teleport_operator.definition import find_gaps
from teleport_operator.identity import IdentitySource
from teleport_operator.server_clock import MAX_SKEW, render_skew
from teleport_operator.settings import OperatorSettings
from teleport_operator.stored_faults import find_fault

MAX_FAULTS = 20
"""So many objects are named; whoever has mended them asks again."""
NEWEST_RULES = (1, 30)
"""Kubernetes before that lacks `optionalOldSelf`, which the definition's rules for whole objects need."""
MAX_SCHEMA = 16 * 1024 * 1024
MAX_GAPS = 5
MEND = "correct it and apply it again, or delete it; the operator leaves its token as it is"

_OPENAPI = f"/openapi/v3/apis/{GROUP}/{VERSION}"
_INSTALL_CRD = "kubectl apply --server-side -f crds/"
_INSTALL_RBAC = "kubectl apply -n {} -f operator/deploy/rbac.yaml"
_INSTALL_CLUSTER_RBAC = "kubectl apply -f operator/deploy/cluster-rbac.yaml"
_INSTALL_ACCOUNT = "kubectl apply -n {} -f operator/deploy/account.yaml"
_JOIN = "docs/operator.md has the token resource; the auth server's log and `tctl tokens uses` say why"
_BOT = "the token resource must say `roles: [Bot]` and `bot_name: operator`"
_SIGN = "make the identity file anew: `tctl auth sign --user=NAME --roles=editor --format=file -o FILE`"
_UPGRADE = (
    "upgrade to 1.30 or later; until then apply the definition without its rules for whole objects, as "
    "docs/operator.md says; what they would refuse is then told by the operator alone"
)
_LEASES = "coordination.k8s.io"


class Status(StrEnum):
    """What a check has found."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    finding: str
    remedy: str = ""

    def __str__(self) -> str:
        """Write it in a line, and the remedy below it."""
        line = f"{self.status:<9}{self.name:<13}{self.finding}"
        return f"{line}\n{'':22}{self.remedy}" if self.remedy else line


@dataclass(frozen=True, slots=True)
class Right:
    """Something that the operator does in Kubernetes."""

    verb: str
    group: str
    resource: str
    name: str = ""

    def __str__(self) -> str:
        """Name it."""
        return f"{self.verb} {self.resource}"


OBJECT_RIGHTS = (
    *(Right(verb, GROUP, PLURAL) for verb in ("get", "list", "watch", "patch")),
    Right("patch", GROUP, f"{PLURAL}/status"),
    *(Right(verb, "", "secrets") for verb in ("get", "create", "patch")),
    Right("create", "", "events"),
)
"""In every namespace that is watched."""


class Preflight:
    """Asks Kubernetes and auth.

    Args:
        settings: of the operator that shall run.
        api: a client of the API server, for what everybody may ask.
        connection: to the same.
        objects: the declared ones.
        judges: auth's, which say whether a spec could judge anybody.
        source: of the operator's identity.
        clock: the present.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        api: KubeApi,
        connection: KubeConnection,
        objects: CustomObjects,
        judges: Mapping[str, Judge],
        source: IdentitySource,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._api = api
        self._connection = connection
        self._objects = objects
        self._judges = judges
        self._source = source
        self._clock = clock

    async def run(self) -> AsyncGenerator[Check, None]:
        """Yield one check after the other; without an API server that answers the rest of its checks is left out."""
        try:
            yield await self._check_version()
            yield await self._check_clock()
            yield await self._check_definition()
            for namespace in self._settings.namespaces or ("",):
                yield await self._check_rights(namespace)
            yield await self._check_lease()
            async for check in self._check_objects():
                yield check
        except NoAnswer as error:
            yield Check("api server", Status.MISSING, error.detail, "see that the address and the token are right")
        yield await self._check_auth()

    async def _check_version(self) -> Check:
        version = await self._api.get_version()
        if (version.major, version.minor) >= NEWEST_RULES:
            return Check("version", Status.OK, f"Kubernetes {version.text}")
        return Check("version", Status.WARNING, f"Kubernetes {version.text}", _UPGRADE)

    async def _check_clock(self) -> Check:
        time = await self._api.get_time()
        if time is None:
            return Check("clock", Status.WARNING, "the API server does not say what time it is")
        skew = self._clock.now() - time
        if abs(skew) <= MAX_SKEW:
            return Check("clock", Status.OK, "agrees with the API server's")
        return Check("clock", Status.WARNING, render_skew(skew), "keep both on NTP")

    async def _check_definition(self) -> Check:
        try:
            document = await self._connection.call(Question("GET", _OPENAPI, limit=MAX_SCHEMA))
        except Missing:
            return Check(
                "definition", Status.MISSING, "the cluster does not know TeleportProvisionTokens", _INSTALL_CRD
            )
        gaps = find_gaps(build_definition(document))
        if not gaps:
            return Check(
                "definition", Status.OK, "knows every field of this version, and keeps those that nobody knows"
            )
        return Check("definition", Status.MISSING, "; ".join(gaps[:MAX_GAPS]), _INSTALL_CRD)

    async def _check_objects(self) -> AsyncGenerator[Check, None]:
        """Yield a check for each object that cannot be read, or one for all; nothing where they cannot be listed."""
        count, faults = 0, list[str]()
        try:
            for namespace in self._settings.namespaces or ("",):
                async for raw in self._objects.list_objects(namespace):
                    count += 1
                    fault = find_fault(raw, self._judges)
                    if fault is not None:
                        faults.append(fault)
        except (Missing, Forbidden):
            return  # another check says so
        for fault in faults[:MAX_FAULTS]:
            yield Check("object", Status.WARNING, fault, MEND)
        if len(faults) > MAX_FAULTS:
            yield Check("object", Status.WARNING, f"{len(faults) - MAX_FAULTS} more cannot be read", MEND)
        if not faults:
            yield Check("objects", Status.OK, f"all {count} can be read")

    async def _check_rights(self, namespace: str) -> Check:
        name, where = "rights", f"in namespace {namespace}" if namespace else "in all namespaces"
        missing = [right for right in OBJECT_RIGHTS if not await self._may(right, namespace)]
        if not missing:
            return Check(name, Status.OK, f"all that is needed {where}")
        remedy = _INSTALL_RBAC.format(namespace) if namespace else _INSTALL_CLUSTER_RBAC
        return Check(name, Status.MISSING, f"may not {', '.join(map(str, missing))} {where}", remedy)

    async def _check_lease(self) -> Check:
        lease, namespace = self._settings.lease, self._settings.namespace
        needed = (
            Right("create", _LEASES, "leases"),
            *(Right(verb, _LEASES, "leases", lease) for verb in ("get", "update")),
        )
        missing = [right for right in needed if not await self._may(right, namespace)]
        if not missing:
            return Check("lease", Status.OK, f"{lease} in namespace {namespace}")
        finding = f"may not {', '.join(map(str, missing))} in namespace {namespace}"
        return Check("lease", Status.MISSING, finding, _INSTALL_ACCOUNT.format(namespace))

    async def _may(self, right: Right, namespace: str) -> bool:
        answer = await self._api.review_own_access(
            right.verb, right.group, right.resource, namespace=namespace, name=right.name
        )
        return answer.allowed

    async def _check_auth(self) -> Check:
        where = self._settings.auth_server
        try:
            identity = await self._source.get()
        except TeleportError as error:
            remedy = _JOIN if self._settings.identity_file is None else _SIGN
            return Check("join", Status.MISSING, f"{where}: {error.message}", remedy)
        try:
            async with connect(where, identity) as client:
                await client.call(RESOURCE_LIST, ListRequest(kind="token", page_size=1))
        except TeleportError as error:
            remedy = _BOT if self._settings.identity_file is None else _SIGN
            return Check("join", Status.MISSING, f"{where}: joined, but {error.message}", remedy)
        return Check("join", Status.OK, f"{where} admits the operator and lets it list tokens")


def build_definition(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the definition as an API server publishes it in OpenAPI, which everybody may read, unlike the object."""
    schemas = read_block(read_block(document, "components"), "schemas")
    schema: Mapping[str, Any] = next(
        (each for name, each in schemas.items() if name.endswith(f".{VERSION}.{KIND}")), {}
    )
    has_status = any(path.endswith("/status") for path in read_block(document, "paths"))
    version = {
        "name": VERSION,
        "served": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}} if has_status else {},
    }
    return {"spec": {"versions": [version]}}
