"""Feeds answers of the Kubernetes API of every shape to their readers: they vouch for a pod, refuse, or say why not."""

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["teleport"]):
    from teleport.errors import JoinRefused
    from teleport.kube.api import copy_status
    from teleport.kube.errors import NoAnswer
    from teleport.kube.objects import parse_change
    from teleport.kube.outgoing import parse_object
    from teleport.kube.token_review import parse_status

ASKED = ("example.com", "https://kubernetes.default.svc.cluster.local")


def try_answer(data: bytes) -> None:
    """Read the bytes as an event of a watch, and as a TokenReview."""
    try:
        answer = parse_object(data, "the API server")
    except NoAnswer:
        return
    with suppress(NoAnswer):
        parse_change(answer)
    try:
        account = parse_status(copy_status(answer), ASKED)
    except (JoinRefused, NoAnswer):
        return
    assert account.namespace, "a pod of no namespace was vouched for"
    assert account.name, "a pod of no ServiceAccount was vouched for"
    assert account.pod_uid, "a token that is bound to no pod was vouched for"
    assert set(account.audiences) & set(ASKED), "a token for somebody else was vouched for"


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_answer)
    atheris.Fuzz()
