"""Feeds answers of the Kubernetes API of every shape to their readers: they vouch for a pod, refuse, or say why not.

An input that starts with a brace is the answer's bytes; any other one says what is changed in an answer that is sound.
"""

import json
import sys
from contextlib import suppress
from typing import Any

import atheris

with atheris.instrument_imports(include=["teleport"]):
    from teleport.errors import JoinRefused
    from teleport.kube.api import copy_status
    from teleport.kube.errors import NoAnswer
    from teleport.kube.objects import PODS, parse_change
    from teleport.kube.outgoing import parse_object
    from teleport.kube.token_review import GROUP, NODE_NAME, POD_NAME, POD_UID, parse_status

ASKED = ("example.com", "https://kubernetes.default.svc.cluster.local")
WORDS = ["", *ASKED, GROUP, POD_NAME, "ERROR", "BOOKMARK", "has expired", "system:serviceaccount:a:b:c", "system:x"]
PATHS = [
    *(("status", name) for name in ("authenticated", "audiences", "error", "user")),
    *(("status", "user", name) for name in ("username", "groups", "extra")),
    *(("status", "user", "extra", name) for name in (POD_NAME, POD_UID, NODE_NAME)),
    *(("object", "metadata", name) for name in ("name", "uid", "resourceVersion", "deletionTimestamp")),
    *(("status",), ("type",), ("object",), ("object", "code"), ("object", "message"), ("object", "metadata")),
]


def build_sound() -> dict[str, Any]:
    """Return what is both a TokenReview and an event of a watch."""
    extra = {POD_NAME: ["web-0"], POD_UID: ["7"], NODE_NAME: ["node-1"]}
    groups = [GROUP, f"{GROUP}:apps"]
    user = {"username": "system:serviceaccount:apps:web", "uid": "8", "groups": groups, "extra": extra}
    pod = {"metadata": {"name": "web-0", "uid": "7", "resourceVersion": "9"}}
    return {"status": {"authenticated": True, "audiences": [ASKED[0]], "user": user}, "type": "ADDED", "object": pod}


def make_up(source: atheris.FuzzedDataProvider) -> object:
    """Return some value of JSON."""
    word, number = source.PickValueInList(WORDS), source.ConsumeInt(4)
    free = source.ConsumeUnicodeNoSurrogates(12)
    values: list[object] = [None, True, number, word, free, [word, number], [word], {word: free}, {POD_UID: [word]}]
    return source.PickValueInList(values)


def change(answer: dict[str, Any], source: atheris.FuzzedDataProvider) -> None:
    """Replace one value of the answer, or take it away."""
    *way, name = source.PickValueInList(PATHS)
    block: Any = answer
    for step in way:
        block = block.get(step) if isinstance(block, dict) else None
    if isinstance(block, dict) and source.ConsumeBool():
        block[name] = make_up(source)
    elif isinstance(block, dict):
        block.pop(name, None)


def build_answer(data: bytes) -> bytes:
    """Return the answer that an input stands for."""
    if data[:1] == b"{":
        return data
    source, answer = atheris.FuzzedDataProvider(data), build_sound()
    for _ in range(source.ConsumeIntInRange(0, 6)):
        change(answer, source)
    return json.dumps(answer).encode()


def try_answer(data: bytes) -> None:
    """Read an answer as an event of a watch, and as a TokenReview."""
    try:
        answer = parse_object(build_answer(data), "the API server")
    except NoAnswer:
        return
    with suppress(NoAnswer):
        parse_change(PODS, answer)
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
