import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.config.settings import StaticToken
from teleport.config.static_tokens import check_static_tokens, load_static_tokens
from teleport.errors import BadParameter, NotFound, TeleportError
from teleport.resources.role import SystemRole

CASES = yaml.safe_load((Path(__file__).parents[3] / "cases" / "config.yaml").read_text())["static_token_parse"]


def ignore(_sentence: str) -> None:
    pass


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_original_cases(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(case.get("file", ""))
    entry = case["entry"].replace("{file}", str(file))
    if "error" in case:
        with pytest.raises(TeleportError) as caught:
            load_static_tokens(entry, warn=ignore)
        assert caught.value.code == case["error"]
        return
    found = [
        {"token": token.token, "roles": [str(role) for role in token.roles]}
        for token in load_static_tokens(entry, warn=ignore)
    ]
    assert found == case["tokens"]


@pytest.mark.parametrize("entry", ["secret-token-value", "node:", "node:  ", ""])
def test_an_entry_without_roles_or_token_is_refused(entry: str) -> None:
    with pytest.raises(BadParameter, match="roles:token"):
        load_static_tokens(entry, warn=ignore)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (":secret-token-value", "invalid role ''"),
        ("nodes:secret-token-value", "invalid role 'nodes'"),
        ("node,Node:secret-token-value", "given twice"),
        ("bot:secret-token-value", "cannot admit bots"),
    ],
)
def test_hostile_33_roles_that_cannot_be_granted_are_refused(entry: str, reason: str) -> None:
    with pytest.raises(BadParameter, match=reason) as caught:
        load_static_tokens(entry, warn=ignore)
    assert "secret-token-value" not in caught.value.message


def test_a_relative_path_is_the_token_itself() -> None:
    (token,) = load_static_tokens("node:path/to/tokenfile", warn=ignore)
    assert token.token == "path/to/tokenfile"


def test_blank_lines_of_a_file_are_no_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("\none-secret-value\n\n\ntwo-secret-value\n\n")
    tokens = load_static_tokens(f"auth:{tmp_path}/tokens", warn=ignore)
    assert [token.token for token in tokens] == ["one-secret-value", "two-secret-value"]
    assert {token.roles for token in tokens} == {(SystemRole.AUTH,)}


def test_hostile_32_a_file_that_everybody_may_read_is_warned_of(tmp_path: Path) -> None:
    warned: list[str] = []
    (tmp_path / "tokens").write_text("one-secret-value\n")
    (tmp_path / "tokens").chmod(0o644)
    load_static_tokens(f"auth:{tmp_path}/tokens", warn=warned.append)
    assert "readable by everybody" in warned[0]


def test_a_token_is_not_in_the_repr() -> None:
    (token,) = load_static_tokens("node:secret-token-value", warn=ignore)
    assert "secret-token-value" not in repr(token)


def check(*tokens: str) -> list[str]:
    warned: list[str] = []
    check_static_tokens(tuple(StaticToken((SystemRole.NODE,), token) for token in tokens), warn=warned.append)
    return warned


def test_a_token_of_8_characters_is_accepted_and_one_of_7_refused() -> None:
    check("12345678")
    with pytest.raises(BadParameter, match="token for node is shorter than 8") as caught:
        check("1234567")
    assert "1234567" not in caught.value.message


def test_a_token_of_16_characters_is_fine_and_one_of_15_warned_of() -> None:
    assert check("1234567890123456") == []
    assert "shorter than 16" in check("123456789012345")[0]


def test_a_token_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadParameter, match="given twice"):
        check("secret-token-value", "other-token-value", "secret-token-value")


@settings(deadline=None)
@given(st.text(max_size=200).filter(lambda text: "/" not in text))
def test_the_parser_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter, NotFound):
        load_static_tokens(text, warn=ignore)
