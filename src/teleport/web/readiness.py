"""Whether a process is of use: what its components say of themselves, and what `/readyz` makes of it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from http import HTTPStatus

from teleport.clock import Clock

RECOVERY = timedelta(seconds=10)
"""For so long a component must stay well after a failure; twice the original's keep-alive interval."""


class State(IntEnum):
    """What a component or a process is; the numbers are those of the gauge `process_state`."""

    OK = 0
    RECOVERING = 1
    DEGRADED = 2
    STARTING = 3


_STATUSES = {
    State.OK: HTTPStatus.OK,
    State.RECOVERING: HTTPStatus.BAD_REQUEST,
    State.STARTING: HTTPStatus.BAD_REQUEST,
    State.DEGRADED: HTTPStatus.SERVICE_UNAVAILABLE,
}
_TEXTS = {
    State.OK: "ok",
    State.RECOVERING: "teleport is recovering from a degraded state",
    State.STARTING: "teleport is starting and has not joined the cluster yet",
    State.DEGRADED: "teleport is in a degraded state",
}


@dataclass(frozen=True, slots=True)
class Report:
    """The process's state at one moment, with the HTTP status and the sentence that tell it."""

    state: State
    status: HTTPStatus
    text: str


@dataclass(slots=True)
class _Component:
    state: State = State.STARTING
    reason: str = ""
    recovering_since: float = 0.0


class Readiness:
    """The state of every component of one process.

    A component starts, is well, degrades on an error, and after that recovers for ten seconds before it is well again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._components: dict[str, _Component] = {}

    def expect(self, component: str) -> None:
        """Count on a component that has not said anything yet; the process is not ready before it does."""
        self._components.setdefault(component, _Component())

    def succeed(self, component: str) -> None:
        """Note that the component works."""
        known = self._components.setdefault(component, _Component())
        if known.state is State.STARTING:
            known.state = State.OK
        elif known.state is State.DEGRADED:
            known.state = State.RECOVERING
            known.recovering_since = self._clock.monotonic()

    def fail(self, component: str, reason: str) -> None:
        """Note that the component does not work.

        Args:
            component: its name.
            reason: one phrase for the operator, shown to whoever may ask `/readyz`: no secret may be in it.
        """
        known = self._components.setdefault(component, _Component())
        known.state = State.DEGRADED
        known.reason = reason

    @property
    def state(self) -> State:
        """Return the worst that any component says; a process without components is starting."""
        states = {self._settle(component) for component in self._components.values()}
        for state in (State.DEGRADED, State.RECOVERING, State.STARTING):
            if state in states:
                return state
        return State.OK if states else State.STARTING

    def report(self) -> Report:
        """Return what `/readyz` answers."""
        state = self.state
        text = _TEXTS[state]
        if state is State.DEGRADED:
            degraded = ((name, known) for name, known in sorted(self._components.items()) if known.state is state)
            text += ": " + "; ".join(f"{name}: {known.reason}" for name, known in degraded)
        return Report(state, _STATUSES[state], text)

    def _settle(self, component: _Component) -> State:
        waited = self._clock.monotonic() - component.recovering_since
        if component.state is State.RECOVERING and waited > RECOVERY.total_seconds():
            component.state = State.OK
        return component.state
