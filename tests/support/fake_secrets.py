"""Secrets as an API server keeps them, with hands to lose answers, to refuse, and to write as somebody else."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from teleport.errors import CompareFailed
from teleport.kube.objects import Secret
from teleport.kube.secret_apply import SecretApply

T = TypeVar("T")


class Killed(BaseException):
    """The process ends here; no handler of the product sees it."""


class FakeSecrets:
    """An API server that knows Secrets alone."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.applied: list[SecretApply] = []
        self.calls: list[str] = []
        self._version = 0
        self._before: dict[int, BaseException] = {}
        self._after: dict[int, BaseException] = {}

    def fail_call(self, number: int, error: BaseException, *, done: bool = False) -> None:
        """Let a call, counted from one and from the first that there was, end with an error.

        Args:
            number: of the call.
            error: what its caller sees.
            done: the call does what it shall first.
        """
        (self._after if done else self._before)[number] = error

    def fail_next(self, *errors: BaseException, done: bool = False) -> None:
        """Let the next calls end with these errors."""
        for number, error in enumerate(errors, len(self.calls) + 1):
            self.fail_call(number, error, done=done)

    def write(self, namespace: str, name: str, data: Mapping[str, bytes]) -> Secret:
        """Write a Secret as somebody else."""
        self._version += 1
        secret = Secret(namespace, name, str(self._version), dict(data))
        self.secrets[namespace, name] = secret
        return secret

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        return self._call("get", lambda: self.secrets.get((namespace, name)))

    async def create_secret(self, secret: SecretApply, *, field_manager: str) -> Secret:
        assert field_manager

        def create() -> Secret:
            if (secret.namespace, secret.name) in self.secrets:
                raise CompareFailed(f'secrets "{secret.name}" already exists')
            return self.write(secret.namespace, secret.name, secret.data)

        return self._call("create", create)

    async def apply_secret(self, secret: SecretApply, *, field_manager: str, force: bool = False) -> Secret:
        assert field_manager
        assert force, "a Secret that somebody restored is held by another manager"

        def apply() -> Secret:
            present = self.secrets.get((secret.namespace, secret.name))
            if present is not None and secret.resource_version not in ("", present.resource_version):
                raise CompareFailed("the object has been modified")
            self.applied.append(secret)
            return self.write(secret.namespace, secret.name, secret.data)

        return self._call("apply", apply)

    def _call(self, name: str, work: Callable[[], T]) -> T:
        self.calls.append(name)
        number = len(self.calls)
        if number in self._before:
            raise self._before.pop(number)
        result = work()
        if number in self._after:
            raise self._after.pop(number)
        return result
