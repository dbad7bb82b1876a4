import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.version import COMPATIBLE_MAJOR, VERSION, explain_version_gap, find_oldest_client, render_version


def test_the_version_is_a_semantic_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_line_names_both_versions() -> None:
    assert render_version() == f"Teleport v{VERSION} (compatible with Teleport {COMPATIBLE_MAJOR})"


def test_we_are_compatible_with_what_the_guide_asks_for() -> None:
    assert COMPATIBLE_MAJOR >= 12


@pytest.mark.parametrize(
    ("client", "cluster"), [("1.0.0", "1.9.2"), ("1.0.0", "2.0.0"), ("v2.3.4", "1.0.0"), ("17.0.0-rc.1", "18.1.0")]
)
def test_one_major_version_apart_goes_together(client: str, cluster: str) -> None:
    assert explain_version_gap(client, cluster) is None


@pytest.mark.parametrize(("client", "cluster", "remedy"), [("1.0.0", "3.0.0", "client"), ("3.0.0", "1.9.9", "cluster")])
def test_two_are_refused_with_both_numbers_and_the_remedy(client: str, cluster: str, remedy: str) -> None:
    gap = explain_version_gap(client, cluster) or ""
    assert client in gap
    assert cluster in gap
    assert f"upgrade the {remedy}, or use --skip-version-check" in gap


@pytest.mark.parametrize("text", ["", "latest", "x.1.0", "9" * 5000, "-1.0.0", "\u0661.0.0", "1.0.0\n"])
def test_what_is_no_version_goes_with_none(text: str) -> None:
    assert explain_version_gap(text, VERSION) is not None


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_judged(client: str, cluster: str) -> None:
    assert explain_version_gap(client, cluster) is None or len(explain_version_gap(client, cluster) or "") < 600


def test_the_oldest_client_is_one_major_version_older() -> None:
    assert [find_oldest_client(version) for version in ("1.0.0", "18.2.1", "0.1.0")] == ["0.0.0", "17.0.0", "0.0.0"]
