from pathlib import Path

import pytest

from teleport.errors import BadParameter, NotFound
from teleport.proxy.archives import Archives
from teleport.proxy.scripts import choose_address, offer_scripts
from teleport.resources.address import Address
from teleport.version import render_archive_name
from teleport.web.call import Call, Peer, Reply, RequestHead

FRONT = Address("front.example.com", 443)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / render_archive_name("amd64")).write_bytes(b"archive")
    return tmp_path


async def ask(folder: Path, target: str, *, host: str = "proxy.example.com", route: str = "") -> Reply:
    offer = offer_scripts(Archives(folder), public_addrs=())
    handler = next(each.handler for each in offer.routes if each.path == (route or target.partition("?")[0]))
    head = RequestHead("GET", target, {"host": host})
    return await handler(Call(Peer("192.0.2.1", None), b"", head))


@pytest.mark.parametrize("path", ["/scripts/install.sh", "/v1/scripts/install.sh"])
async def test_the_script_downloads_from_where_it_came(folder: Path, path: str) -> None:
    reply = await ask(folder, path)
    assert reply.status == 200
    assert b"url=https://proxy.example.com:443/v1/webapi/dist\n" in reply.body


async def test_insecure_is_passed_on_only_where_it_is_asked_for(folder: Path) -> None:
    assert b"insecure=yes" in (await ask(folder, "/scripts/install.sh?insecure=true")).body
    for query in ("", "?insecure=false", "?insecure=true&insecure=true"):
        assert b"insecure=''" in (await ask(folder, f"/scripts/install.sh{query}")).body


@pytest.mark.parametrize("host", ["", ":443", "a b", "$(id)", "'", "x:y", "x:1:2", "%0d%0a", "x" * 300, "h\0", "a/b"])
async def test_hostile_31_a_host_that_is_none_gets_a_script_that_only_fails(folder: Path, host: str) -> None:
    reply = await ask(folder, "/scripts/install.sh", host=host)
    assert reply.status == 200
    assert reply.body.endswith(b">&2\nexit 1\n")


@pytest.mark.parametrize("query", ["?insecure=$(id)", "?insecure=%0a", "?insecure=2"])
async def test_hostile_31_a_switch_that_is_none_gets_a_script_that_only_fails(folder: Path, query: str) -> None:
    body = (await ask(folder, f"/scripts/install.sh{query}")).body
    assert body.count(b"\n") == 3
    assert b"insecure is true or false" in body


async def test_without_an_archive_the_script_only_says_so(tmp_path: Path) -> None:
    body = (await ask(tmp_path, "/scripts/install.sh")).body
    assert body.startswith(b"#!/bin/sh\nprintf 'error: %s\\n' 'this proxy has no archive")


async def test_any_other_script_is_not_there_and_the_hint_names_the_one_that_is(folder: Path) -> None:
    with pytest.raises(NotFound, match=r"/scripts/install\.sh"):
        await ask(folder, "/scripts/install-node.sh", route="/scripts/*")


async def test_archives_are_streamed(folder: Path) -> None:
    reply = await ask(folder, f"/webapi/dist/{render_archive_name('amd64')}", route="/webapi/dist/*")
    assert reply.parts is not None
    assert b"".join([part async for part in reply.parts]) == b"archive"
    assert (reply.length, reply.content_type) == (7, "application/gzip")


def test_a_public_address_is_preferred_to_a_host_that_is_none_of_ours() -> None:
    other = Address("other.example.com", 3080)
    assert choose_address("evil.example.com", (FRONT, other)) == FRONT
    assert choose_address("$(id)", (FRONT,)) == FRONT
    assert choose_address("other.example.com:3080", (FRONT, other)) == other
    with pytest.raises(BadParameter):
        choose_address("$(id)", ())
