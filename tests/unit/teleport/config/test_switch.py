import pytest

from teleport.config.switch import parse_switch
from teleport.errors import BadParameter


@pytest.mark.parametrize("word", ["yes", "yeah", "y", "true", "1", "on", "YES", "True", " On "])
def test_a_word_for_yes_is_yes(word: str) -> None:
    assert parse_switch(word) is True


@pytest.mark.parametrize("word", ["no", "nope", "n", "false", "0", "off", "NO", "False"])
def test_a_word_for_no_is_no(word: str) -> None:
    assert parse_switch(word) is False


@pytest.mark.parametrize("word", ["", "ja", "maybe", "2", "yes no"])
def test_another_word_is_refused(word: str) -> None:
    with pytest.raises(BadParameter, match="expected yes or no"):
        parse_switch(word)
