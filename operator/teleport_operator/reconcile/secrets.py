"""Which value a secret token has, and when it gets another one. Pure.

The value is in the Secret that is delivered; beside it stands when it was made and which request for a new one it
answered, so that one write of the Secret says all of it. The moment tells the token of this value from former ones.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from teleport.errors import BadParameter
from teleport.kube.delivered_secrets import DeliveredSecret
from teleport.resources.model import check_name, render_time
from teleport.resources.token import SAFE_SECRET_LENGTH
from teleport_operator.declaration import SecretRule
from teleport_operator.expiry import parse_moment
from teleport_operator.reconcile.expiry import Expiry

KEY = "auth-token"
"""Where the agent's chart looks for a token in a Secret."""
MADE_AT = "resources.teleport.dev/made-at"
HANDLED_ROTATE = "resources.teleport.dev/handled-rotate"


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A value of an object's secret."""

    value: str = field(repr=False)
    made_at: datetime
    handled_rotate: str
    is_new: bool
    """It has to be delivered yet."""

    @property
    def label(self) -> str:
        """Return what tells this value's token from those of others."""
        return f"{self.made_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"

    def render(self, before: DeliveredSecret | None) -> DeliveredSecret:
        """Return the Secret that delivers it."""
        annotations = {MADE_AT: render_time(self.made_at), HANDLED_ROTATE: self.handled_rotate}
        version = before.resource_version if before is not None else ""
        return DeliveredSecret(data={KEY: self.value}, annotations=annotations, owner="", resource_version=version)


def choose_value(
    rule: SecretRule, delivered: DeliveredSecret | None, *, rotate: str, given: str | None, fresh: str, now: datetime
) -> SecretValue:
    """Return the value that works from now on: the delivered one, or a new one.

    Args:
        rule: of the object.
        delivered: the Secret as it is, if it is there.
        rotate: value of the annotation that asks for a new one.
        given: what another Secret says, where that is where values come from.
        fresh: a random value, in case that one is needed.
        now: when it is made then.
    """
    present = None if delivered is None else _read(delivered)
    new = SecretValue(fresh if given is None else given, now, rotate, is_new=True)
    if present is None or (given is not None and given != present.value):
        return new
    if given is None and rotate not in ("", present.handled_rotate):
        return new
    if rule.rotate_every is not None and now >= present.made_at + rule.rotate_every:
        return new
    return present


def _read(delivered: DeliveredSecret) -> SecretValue | None:
    """Return the value of a Secret, or None where somebody has broken it."""
    value, made_at = delivered.data.get(KEY, ""), delivered.annotations.get(MADE_AT, "")
    try:
        check_value(value)
        return SecretValue(value, parse_moment(made_at), delivered.annotations.get(HANDLED_ROTATE, ""), is_new=False)
    except BadParameter:
        return None


def check_value(value: str) -> None:
    """Refuse what would make no good secret.

    Raises:
        BadParameter: it is too short, too long, or holds a control character.
    """
    check_name(value, "the secret")
    if len(value) < SAFE_SECRET_LENGTH:
        raise BadParameter(f"the secret has fewer than {SAFE_SECRET_LENGTH} characters")


def limit_life(expiry: Expiry, rule: SecretRule, value: SecretValue) -> Expiry:
    """Return when the token of a value ends: with the object's, or when the next but one value is due."""
    if rule.rotate_every is None:
        return expiry
    last = value.made_at + rule.rotate_every + rule.overlap
    at = last if expiry.at is None else min(expiry.at, last)
    return Expiry(at, expiry.source, expiry.fingerprint)


def find_former_end(actual_end: datetime | None, rule: SecretRule, value: SecretValue) -> datetime:
    """Return when the token of a former value has to end: with the overlap, unless it ends before that.

    Args:
        actual_end: when it ends as it is.
        rule: of the object.
        value: the present one.
    """
    bound = value.made_at + rule.overlap
    return bound if actual_end is None else min(actual_end, bound)
