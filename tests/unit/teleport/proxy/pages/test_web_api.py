import json

import pytest

from support.auth import to_der
from support.web_stage import WebStage
from support.web_visitor import PASSWORD, Answer, WebVisitor, read_page
from teleport.api.joined import generate_keys
from teleport.api.operations import LOGIN_CERTIFICATES
from teleport.api.people import LoginCertificatesRequest
from teleport.web.call import Peer

JSON = {"content_type": "application/json"}


async def start_with_alice() -> tuple[WebStage, str]:
    stage = await WebStage.start()
    await stage.declare("grafana", description="Dashboards", env="dev")
    visitor, path = stage.visit(), await stage.invite()
    page = await visitor.get(path)
    secret = read_page(page.text).secret
    await visitor.post(path, visitor.fill_invitation(page, secret, code=stage.build_code(secret, -1)))
    return stage, secret


async def sign_in(visitor: WebVisitor, code: str, **headers: str) -> Answer:
    body = json.dumps({"user": "alice", "password": PASSWORD, "code": code}).encode()
    return await visitor.ask("POST", "/v1/webapi/sessions", JSON | headers, body)


async def test_a_program_signs_in_lists_and_signs_out() -> None:
    stage, secret = await start_with_alice()
    program = stage.visit()
    begun = await sign_in(program, stage.build_code(secret))
    told = json.loads(begun.text)
    assert (begun.status, told["user"], told["roles"]) == (200, "alice", ["access"])
    assert program.cookies["__Host-session"] not in begun.text
    listed = await program.get("/webapi/apps")
    assert json.loads(listed.text)["apps"] == [
        {
            "name": "grafana",
            "description": "Dashboards",
            "protocol": "HTTP",
            "public_addr": "grafana.proxy.example.com",
            "url": "https://grafana.proxy.example.com:3080",
            "labels": {"env": "dev"},
        }
    ]
    session = program.cookies["__Host-session"]
    assert (await program.ask("DELETE", "/webapi/sessions", {})).status == 200
    assert program.cookies == {}
    refused = await stage.visit(**{"__Host-session": session}).get("/webapi/apps")
    assert (refused.status, json.loads(refused.text)["error"]["code"]) == (403, "access_denied")


async def test_without_a_session_the_list_is_refused() -> None:
    stage, _ = await start_with_alice()
    answer = await stage.visit().get("/webapi/apps")
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (401, "unauthenticated")


async def test_a_wrong_code_begins_no_session() -> None:
    stage, _ = await start_with_alice()
    program = stage.visit()
    assert (await sign_in(program, "000000")).status == 403
    assert program.cookies == {}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"user": "alice"}', b'{"user": 1, "password": "x", "code": "1", "x": 2}', b"\xff"]
)
async def test_another_body_is_refused_without_a_word_of_it(body: bytes) -> None:
    stage, _ = await start_with_alice()
    answer = await stage.visit().ask("POST", "/webapi/sessions", JSON, body)
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (400, "bad_parameter")


async def test_a_page_of_an_application_uses_nobodys_session() -> None:
    stage, secret = await start_with_alice()
    program = stage.visit()
    code = stage.build_code(secret)
    assert (await sign_in(program, code, sec_fetch_site="same-site")).status == 403
    await sign_in(program, code)
    assert (await program.ask("DELETE", "/webapi/sessions", {"sec_fetch_site": "same-site"})).status == 403
    assert (await program.get("/webapi/apps")).status == 200
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        body = json.dumps({"user": "alice", "password": PASSWORD, "code": code}).encode()
        answer = await program.ask("POST", "/webapi/sessions", {"content_type": content_type}, body)
        assert answer.status == 415


async def test_a_users_certificate_is_as_good_as_a_session_and_a_hosts_is_not() -> None:
    stage, secret = await start_with_alice()
    request = LoginCertificatesRequest(
        user="alice", password=PASSWORD, code=stage.build_code(secret), keys=generate_keys().build_public_keys("alice")
    )
    user = (await stage.call(LOGIN_CERTIFICATES, request)).tls_certificate
    stage.peer = Peer("192.0.2.1", to_der(user))
    assert [app["name"] for app in json.loads((await stage.visit().get("/webapi/apps")).text)["apps"]] == ["grafana"]
    host = (await stage.auth.join((await stage.auth.add_token()).name)).certificates.tls_certificate
    stage.peer = Peer("192.0.2.1", to_der(host))
    assert (await stage.visit().get("/webapi/apps")).status == 403
