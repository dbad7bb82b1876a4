"""The Secrets that objects are delivered in: read, filled with a new value where one is due, and never taken over."""

from datetime import datetime

from teleport.errors import BadParameter, CompareFailed
from teleport.kube.custom_objects import RawObject
from teleport.kube.delivered_secrets import DeliveredSecret, DeliveredSecrets
from teleport.kube.errors import Forbidden
from teleport.resources.token import generate_token_name
from teleport_operator.conditions import State
from teleport_operator.declaration import Declaration, SecretRule, SecretSource
from teleport_operator.obstacles import Obstacle
from teleport_operator.reconcile.secrets import SecretValue, check_value, choose_value


class SecretKeeping:
    """Where the values of secret tokens are.

    Args:
        secrets: of the cluster.
    """

    def __init__(self, *, secrets: DeliveredSecrets) -> None:
        self._secrets = secrets

    async def choose(self, declaration: Declaration, rule: SecretRule, now: datetime) -> SecretValue:
        """Return the value that works from now on; a new one is not delivered yet.

        Raises:
            Obstacle: there is a Secret of that name which is not the object's, or one that is needed is missing.
        """
        head = declaration.head
        delivered = await self._get_own(declaration, rule)
        return choose_value(
            rule,
            delivered,
            rotate=head.rotate,
            given=None if rule.source is None else await self._read_source(head.namespace, rule.source),
            fresh=generate_token_name(),
            now=now,
        )

    async def deliver(self, raw: RawObject, declaration: Declaration, rule: SecretRule, value: SecretValue) -> None:
        """Write a new value; its token is in the cluster already, so that whoever reads it can join at once.

        Raises:
            Obstacle: somebody else wrote the Secret meanwhile.
        """
        before = await self._get_own(declaration, rule)
        try:
            await self._secrets.put(raw, rule.name, value.render(before))
        except CompareFailed as error:
            raise Obstacle(State.SECRET_MISSING, f"Secret {rule.name} is written by somebody else too") from error
        except Forbidden as error:
            raise Obstacle(State.SECRET_MISSING, error.detail) from error

    async def _get_own(self, declaration: Declaration, rule: SecretRule) -> DeliveredSecret | None:
        found = await self._get(declaration.head.namespace, rule.name)
        if found is not None and found.owner != declaration.head.uid:
            raise Obstacle(
                State.SECRET_MISSING,
                f"Secret {rule.name} is there already and is not this object's; it is left alone. Delete it, "
                "or choose another name in spec.secret.name",
            )
        return found

    async def _read_source(self, namespace: str, source: SecretSource) -> str:
        found = await self._get(namespace, source.name)
        if found is None:
            raise Obstacle(State.SECRET_MISSING, f"there is no Secret {source.name} to read the token from")
        value = found.data.get(source.key, "").strip()
        try:
            check_value(value)
        except BadParameter as error:
            message = f"key {source.key} of Secret {source.name} cannot be the token: {error.message}"
            raise Obstacle(State.SECRET_MISSING, message) from error
        return value

    async def _get(self, namespace: str, name: str) -> DeliveredSecret | None:
        try:
            return await self._secrets.get(namespace, name)
        except Forbidden as error:
            raise Obstacle(State.SECRET_MISSING, error.detail) from error
