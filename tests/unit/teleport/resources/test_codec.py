from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.auth import build_token
from teleport.errors import BadParameter
from teleport.resources import codec
from teleport.resources.codec import KINDS, parse_kind, parse_resource, parse_resources, to_plain
from teleport.resources.presence import Server
from teleport.resources.strict_yaml import render_yaml
from teleport.resources.token import Token

TOKEN = """\
kind: token
version: v2
metadata:
  name: kubernetes-token
  expires: 2050-01-01T00:00:00Z
spec:
  roles: [App, Node]
  join_method: token
"""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_its_own_name(kind: str) -> None:
    assert parse_kind(kind) == kind
    assert parse_kind(f" {kind.upper()} ") == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tokens", "token"),
        ("provision_token", "token"),
        ("nodes", "node"),
        ("apps", "app_server"),
        ("app", "app_server"),
        ("db", "db_server"),
        ("cas", "cert_authority"),
        ("instances", "instance"),
    ],
)
def test_kinds_have_other_names(text: str, kind: str) -> None:
    assert parse_kind(text) == kind


@pytest.mark.parametrize("alias", sorted(codec._ALIASES))
def test_every_other_name_leads_to_a_kind(alias: str) -> None:
    assert parse_kind(alias) in KINDS
    assert alias not in KINDS


@pytest.mark.parametrize("text", ["", "lock", "scoped_token", "x" * 1000])
def test_a_kind_that_does_not_exist_is_refused_and_those_that_do_are_named(text: str) -> None:
    with pytest.raises(BadParameter, match="the kinds are app_server, ") as caught:
        parse_kind(text)
    assert len(caught.value.message) < 500


def test_yaml_becomes_resources() -> None:
    first, second = parse_resources(TOKEN + "---\n" + "kind: nodes\nversion: v2\nmetadata: {name: n}\nspec: {}\n---\n")
    assert isinstance(first, Token)
    assert isinstance(second, Server)
    assert (first.name, second.kind) == ("kubernetes-token", "node")


def test_json_is_yaml() -> None:
    (token,) = parse_resources('{"kind": "token", "metadata": {"name": "t"}, "spec": {"roles": ["Node"]}}')
    assert token.name == "t"


@pytest.mark.parametrize("raw", [None, "text", 1, [], {}, {"metadata": {}}, {"kind": None}])
def test_what_is_no_resource_is_refused(raw: Any) -> None:
    with pytest.raises(BadParameter):
        parse_resource(raw)


def test_a_tokens_version_is_forced_and_others_are_not() -> None:
    assert parse_resource({"kind": "token", "version": "v1", "metadata": {"name": "t"}}).version == "v2"
    with pytest.raises(BadParameter, match="node: version"):
        parse_resource({"kind": "node", "version": "v1", "metadata": {"name": "t"}, "spec": {}})


def test_what_is_empty_is_not_written() -> None:
    assert to_plain(build_token("t")) == {
        "kind": "token",
        "version": "v2",
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"roles": ["Node"], "join_method": "token"},
    }


def test_a_number_that_is_nought_and_a_switch_that_is_off_are_not_empty() -> None:
    token = parse_resource(
        {"kind": "token", "metadata": {"name": "t"}, "spec": {"kubernetes": {"oidc": {"insecure": False, "n": 0}}}}
    )
    assert to_plain(token)["spec"]["kubernetes"] == {"oidc": {"insecure": False, "n": 0}}


def test_what_is_written_reads_back() -> None:
    (token,) = parse_resources(TOKEN)
    assert list(parse_resources(render_yaml(to_plain(token)))) == [token]


def test_documents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_DOCUMENTS", 2)
    assert len(list(parse_resources("---\n".join([TOKEN] * 2)))) == 2
    with pytest.raises(BadParameter, match="more than 2 documents"):
        list(parse_resources("---\n".join([TOKEN] * 3)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=10,
)


@given(st.fixed_dictionaries({"kind": st.sampled_from(sorted(KINDS)), "metadata": JSON, "spec": JSON}))
def test_any_document_is_a_resource_or_refused(raw: dict[str, Any]) -> None:
    try:
        resource = parse_resource(raw)
    except BadParameter:
        return
    assert parse_resource(resource.model_dump(mode="json")) == resource
