from pathlib import Path

import pytest

from teleport.config.pins import load_pins
from teleport.errors import BadParameter, NotFound

PIN = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64


def test_a_pin_is_a_value_or_a_file() -> None:
    assert load_pins(PIN) == (PIN,)


def test_pins_may_be_a_list_with_commas(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(f"{OTHER}\n")
    assert load_pins(f"{PIN}, {tmp_path}/pin") == (PIN, OTHER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        PIN[:-1],
        PIN + "0",
        PIN.upper(),
        "md5:" + "0" * 64,
        "sha256:" + "g" * 64,
        f"{PIN},",
        "./pin",
        f"x:{PIN}",
    ],
)
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="not a CA pin"):
        load_pins(text)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(NotFound):
        load_pins("/missing/pin")
