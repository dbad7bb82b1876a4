"""One look at an object that is not being deleted: whether anything may be done for it, and then that it is done."""

from collections.abc import Mapping

from teleport.join.method import Judge
from teleport.kube.custom_objects import RawObject
from teleport_operator.conditions import Report, State
from teleport_operator.declaration import Annotation
from teleport_operator.delegation import Delegation
from teleport_operator.head import parse_head
from teleport_operator.manifest import parse_declaration
from teleport_operator.objects import ObjectCache
from teleport_operator.outcome import Outcome
from teleport_operator.problems import InvalidManifest
from teleport_operator.reconcile.expiry import UNREADABLE, Expiry
from teleport_operator.status import Recorded
from teleport_operator.upkeep import Upkeep

_PAUSED = f"annotation {Annotation.IGNORE} stands; nothing is changed in the cluster for this object"


class Looking:
    """A ladder: one reason a rung for which an object has no token.

    Args:
        cache: tells who claims a name.
        judges: auth's own, which say whether a spec could judge anybody.
        delegation: who may declare what.
        upkeep: keeps the tokens of those that get so far.
    """

    def __init__(
        self, *, cache: ObjectCache, judges: Mapping[str, Judge], delegation: Delegation, upkeep: Upkeep
    ) -> None:
        self._cache = cache
        self._judges = judges
        self._delegation = delegation
        self._upkeep = upkeep

    async def look(self, raw: RawObject, recorded: Recorded) -> Outcome:
        """Bring the token of an object to what it declares; what keeps it from being so is in the report."""
        if parse_head(raw).ignore:
            return Outcome(Report(State.PAUSED, _PAUSED), recorded.expiry, secret=recorded.secret)
        try:
            declaration = parse_declaration(raw, judges=self._judges)
        except InvalidManifest as error:
            expiry = recorded.expiry if recorded.expiry.fingerprint else Expiry(fingerprint=UNREADABLE)
            report = Report(State.INVALID, error.message, invalid=error.kind)
            return Outcome(report, expiry, secret=recorded.secret)
        elder = self._cache.find_elder(raw)
        if elder is not None:
            message = f"an older object in namespace {elder.namespace} has this name, and the older one has the token"
            return Outcome(Report(State.DUPLICATE_NAME, message), recorded.expiry, notes=declaration.notes)
        refusal = self._delegation.find_refusal(declaration)
        if refusal:
            report = Report(State.NAMESPACE_NOT_ALLOWED, refusal)
            return Outcome(report, recorded.expiry, notes=declaration.notes, secret=recorded.secret)
        return await self._upkeep.keep(raw, declaration, recorded, losers=self._cache.find_rival_uids(raw))
