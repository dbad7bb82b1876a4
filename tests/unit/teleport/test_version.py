import re

from teleport.version import COMPATIBLE_MAJOR, VERSION, render_version


def test_the_version_is_a_semantic_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_line_names_both_versions() -> None:
    assert render_version() == f"Teleport v{VERSION} (compatible with Teleport {COMPATIBLE_MAJOR})"


def test_we_are_compatible_with_what_the_guide_asks_for() -> None:
    assert COMPATIBLE_MAJOR >= 12
