from http import HTTPStatus

import pytest

from teleport.web.call import RequestHead
from teleport.web.errors import MalformedRequest
from teleport.web.upgrade import check_websocket, render_switch

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SOUND = {
    "host": "x",
    "upgrade": "websocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def refuse(method: str = "GET", **changes: str) -> HTTPStatus:
    fields = {**SOUND, **{name.replace("_", "-"): value for name, value in changes.items()}}
    with pytest.raises(MalformedRequest) as refusal:
        check_websocket(RequestHead(method, "/", {name: value for name, value in fields.items() if value}))
    return refusal.value.status


def test_a_sound_handshake_is_answered_as_the_rfc_does() -> None:
    key = check_websocket(RequestHead("GET", "/", SOUND))
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in render_switch(key)  # RFC 6455, 1.3


@pytest.mark.parametrize("changes", [{"upgrade": "h2c"}, {"upgrade": ""}, {"connection": "close"}, {"connection": ""}])
def test_a_plain_request_is_told_to_upgrade(changes: dict[str, str]) -> None:
    assert refuse(**changes) == HTTPStatus.UPGRADE_REQUIRED


@pytest.mark.parametrize("version", ["", "8", "13, 8"])
def test_another_version_is_told_which_one_is_spoken(version: str) -> None:
    assert refuse(sec_websocket_version=version) == HTTPStatus.UPGRADE_REQUIRED


def test_only_a_get_may_upgrade() -> None:
    assert refuse("POST") == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    "changes",
    [
        {"content_length": "1"},
        {"transfer_encoding": "chunked"},
        {"sec_websocket_key": ""},
        {"sec_websocket_key": "AAAA"},
        {"sec_websocket_key": KEY + "\u00e4"},
        {"sec_websocket_key": f"{KEY}, {KEY}"},
    ],
)
def test_a_malformed_handshake_is_refused(changes: dict[str, str]) -> None:
    assert refuse(**changes) == HTTPStatus.BAD_REQUEST
