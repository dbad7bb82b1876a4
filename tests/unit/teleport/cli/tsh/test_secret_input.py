import io
import sys

import pytest

from teleport.cli.tsh.secret_input import MAX_BYTES, read_secret
from teleport.errors import BadParameter


def give(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_each_secret_is_a_line_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b"correct horse battery\r\n123456")
    assert (read_secret("password"), read_secret("code")) == ("correct horse battery", "123456")
    with pytest.raises(BadParameter, match="code: expected 1 to"):
        read_secret("code")


@pytest.mark.parametrize(("size", "fits"), [(MAX_BYTES, True), (MAX_BYTES + 1, False)])
def test_a_line_is_read_up_to_its_limit(monkeypatch: pytest.MonkeyPatch, size: int, *, fits: bool) -> None:
    give(monkeypatch, b"x" * size + b"\n")
    if fits:
        assert read_secret("password") == "x" * size
    else:
        with pytest.raises(BadParameter):
            read_secret("password")


def test_what_is_no_text_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b"secret\xff\n")
    with pytest.raises(BadParameter) as refusal:
        read_secret("password")
    assert "secret" not in refusal.value.message
