"""What can go wrong while Kubernetes is asked; none of it says anything about who asked us.

A stranger whose join waits for the answer learns the short message; the detail names addresses and accounts of our own
and goes to the log and to readiness.
"""

from datetime import timedelta

from teleport.errors import Unavailable

SOON = timedelta(seconds=1)


class NoAnswer(Unavailable):
    """Whoever was asked does not answer at present; the same question may be answered after `retry_after`.

    Args:
        detail: one sentence for the operator, without secrets.
        retry_after: as whoever was asked wishes it.
        public: what the stranger learns.
    """

    reason = "kubernetes_no_answer"
    PUBLIC = "Kubernetes does not answer at present"

    def __init__(self, detail: str, retry_after: timedelta = SOON, public: str = PUBLIC) -> None:
        super().__init__(public, retry_after)
        self.detail = detail


class TooBusy(NoAnswer):
    """Whoever was asked sends everybody away for `retry_after`."""


class BadAnswer(NoAnswer):
    """There is an answer that is of no use, and asking again at once would bring the same."""

    reason = "kubernetes_bad_answer"
    RETRY_AFTER = timedelta(seconds=10)
    PUBLIC = "Kubernetes gives no answer that can be used; the auth server's log says why"

    def __init__(self, detail: str, public: str = PUBLIC) -> None:
        super().__init__(detail, self.RETRY_AFTER, public)


class Untrusted(BadAnswer):
    """Whoever answers shows a certificate that is not trusted here; nothing was sent to it."""

    reason = "kubernetes_untrusted"


class Forbidden(BadAnswer):
    """The API server does not let this process ask; a person must grant the right."""

    reason = "kubernetes_forbidden"
    PUBLIC = "auth may not ask Kubernetes; the auth server's log names the right that its ServiceAccount lacks"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, self.PUBLIC)


class NotInCluster(Unavailable):
    """This process is in no Kubernetes cluster and is told of none; a person must tell it."""

    reason = "not_in_cluster"


class Missing(BadAnswer):
    """The API server does not know what was asked for."""


class Gone(BadAnswer):
    """A watch began too long ago; list anew."""
