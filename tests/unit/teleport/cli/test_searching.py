import pytest

from teleport.cli.searching import is_found, join_labels

OWN = {"env": "prod", "team": "core"}


@pytest.mark.parametrize(
    ("labels", "search", "expected"),
    [
        ({}, [], True),
        ({"env": "prod"}, [], True),
        (OWN, ["core", "grafana"], True),
        ({"env": "dev"}, [], False),
        ({"region": "x"}, [], False),
        ({}, ["graf", "nothing"], False),
        ({}, ["env=prod"], True),
    ],
)
def test_labels_must_all_be_there_and_words_all_occur(
    labels: dict[str, str], search: list[str], *, expected: bool
) -> None:
    assert is_found(OWN, ("Grafana", "10.0.0.1"), labels, search) is expected


def test_labels_are_joined_as_tables_have_them() -> None:
    assert join_labels(OWN) == "env=prod,team=core"
    assert join_labels({}) == ""
