import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter, SealError
from teleport.pki.seal import (
    MAX_PLAINTEXT_BYTES,
    OVERHEAD,
    Sealer,
    SealKey,
    generate_seal_key,
    parse_seal_key,
)

SEALER = Sealer(SealKey(bytes(range(32))))
KEY_ID = "6080fb9b556f6f91"
LOOKUP_ID = "6fed4a931e524f7f46abc4c7e6311c0745f4083b688053e5af90d57ecf28902a"
OLD = "01e93295ee690db013ceee298e8dc30df8dc2bbfc48ce8197295b1988649f3ea4a248a"
SEALED = SEALER.seal(b"secret", key="tokens/a", kind="token")


def test_what_is_sealed_opens_at_its_place() -> None:
    assert SEALER.open(SEALED, key="tokens/a", kind="token") == b"secret"


def test_a_sealed_value_does_not_show_what_is_in_it() -> None:
    assert b"secret" not in SEALED
    assert len(SEALED) == len(b"secret") + OVERHEAD


def test_the_same_value_is_never_sealed_alike() -> None:
    assert SEALER.seal(b"secret", key="k", kind="t") != SEALER.seal(b"secret", key="k", kind="t")


@pytest.mark.parametrize(
    ("key", "kind"),
    [("tokens/b", "token"), ("tokens/a", "cert_authority"), ("", ""), ("tokens/at", "oken"), ("tokens/", "atoken")],
)
def test_a_value_does_not_open_at_another_place(key: str, kind: str) -> None:
    with pytest.raises(SealError):
        SEALER.open(SEALED, key=key, kind=kind)


def test_another_seal_key_does_not_open_it_and_the_message_tells_which_was_used() -> None:
    other = Sealer(generate_seal_key())
    with pytest.raises(SealError, match=other.key_id):
        other.open(SEALED, key="tokens/a", kind="token")


def test_another_version_is_refused() -> None:
    with pytest.raises(SealError, match="version"):
        SEALER.open(b"\x02" + SEALED[1:], key="tokens/a", kind="token")


@given(st.integers(0, len(SEALED) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_a_changed_value_does_not_open(place: int, put: bytes, cut: int) -> None:
    changed = SEALED[:place] + put + SEALED[place + cut :]
    if changed == SEALED:
        return
    with pytest.raises(SealError):
        SEALER.open(changed, key="tokens/a", kind="token")


@given(st.binary(max_size=100))
def test_any_bytes_do_not_open(sealed: bytes) -> None:
    with pytest.raises(SealError):
        SEALER.open(sealed, key="tokens/a", kind="token")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_place_is_told_from_every_other(key: str, kind: str, other_key: str, other_kind: str) -> None:
    sealed = SEALER.seal(b"x", key=key, kind=kind)
    if (key, kind) == (other_key, other_kind):
        assert SEALER.open(sealed, key=other_key, kind=other_kind) == b"x"
    else:
        with pytest.raises(SealError):
            SEALER.open(sealed, key=other_key, kind=other_kind)


def test_the_size_is_bounded() -> None:
    largest = bytes(MAX_PLAINTEXT_BYTES)
    assert SEALER.open(SEALER.seal(largest, key="k", kind="t"), key="k", kind="t") == largest
    with pytest.raises(SealError, match="larger"):
        SEALER.seal(largest + b"x", key="k", kind="t")
    with pytest.raises(SealError):
        SEALER.open(b"\x01" + bytes(OVERHEAD + MAX_PLAINTEXT_BYTES), key="k", kind="t")


def test_a_seal_key_survives_writing_and_reading() -> None:
    key = generate_seal_key()
    assert parse_seal_key(f" {key.to_text()}\n") == key
    assert "\n" not in key.to_text()


@pytest.mark.parametrize("text", ["", "AAAA", "x" * 44, "A" * 42 + "==", "A" * 48, "\u00e4" * 44, "A" * 10_000])
def test_a_text_that_is_no_seal_key_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="seal key"):
        parse_seal_key(text)


def test_a_seal_key_does_not_show() -> None:
    key = generate_seal_key()
    assert key.to_text() not in repr(key)
    assert repr(key.raw) not in repr(key)
    assert key.raw.hex() not in Sealer(key).key_id


def test_the_key_id_belongs_to_the_key() -> None:
    assert Sealer(SealKey(bytes(range(32)))).key_id == SEALER.key_id
    assert Sealer(generate_seal_key()).key_id != SEALER.key_id
    assert len(SEALER.key_id) == 16


def test_a_name_is_filed_under_a_hash_that_depends_on_the_seal_key() -> None:
    assert SEALER.lookup_id("token") == SEALER.lookup_id("token")
    assert SEALER.lookup_id("token") != SEALER.lookup_id("token ")
    assert SEALER.lookup_id("token") != Sealer(generate_seal_key()).lookup_id("token")
    assert len(SEALER.lookup_id("\ud800" * 1000)) == 64


def test_the_derived_values_never_change() -> None:
    """A store that was written by an earlier version must stay readable."""
    assert SEALER.key_id == KEY_ID
    assert SEALER.lookup_id("token") == LOOKUP_ID
    assert SEALER.open(bytes.fromhex(OLD), key="tokens/a", kind="token") == b"secret"
