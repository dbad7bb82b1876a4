from support.web_stage import BROWSER, WebStage
from support.web_visitor import WebVisitor, read_page

APP = "/web/launch/grafana.proxy.example.com?path=%2Fd&state=abc"


async def sign_in(stage: WebStage, user: str = "alice", role: str = "access") -> WebVisitor:
    visitor, path = stage.visit(), await stage.invite(user, role)
    page = await visitor.get(path)
    secret = read_page(page.text).secret
    await visitor.post(path, visitor.fill_invitation(page, secret, code=stage.build_code(secret, 0)))
    return visitor


async def test_the_list_shows_what_one_may_open_and_how() -> None:
    stage = await WebStage.start()
    await stage.declare("grafana", description="Dashboards", env="dev")
    await stage.declare("postgres", protocol="TCP")
    answer = await (await sign_in(stage)).get("/web/apps")
    assert answer.status == 200
    assert answer.links == ["/web/apps", "/web/launch/grafana.proxy.example.com"]
    assert {"grafana", "Dashboards", "env", "dev"} <= set(read_page(answer.text).texts)
    assert "tsh proxy app <bdi>postgres</bdi>" in answer.text
    assert "127.0.0.1" not in answer.text


async def test_who_may_open_nothing_sees_nothing() -> None:
    stage = await WebStage.start()
    await stage.declare("grafana", env="dev")
    answer = await (await sign_in(stage, role="auditor")).get("/web/apps")
    assert "grafana" not in answer.text
    assert "There is no application that you may open" in answer.text


async def test_hostile_63_a_host_name_that_an_agent_made_up_becomes_no_link() -> None:
    stage = await WebStage.start()
    await stage.declare("evil", description='"><script>alert(1)</script>')
    stage.launcher.host_name = "javascript:alert(1)//"
    answer = await (await sign_in(stage)).get("/web/apps")
    assert answer.links == ["/web/apps"]
    assert "<script" not in answer.text


async def test_a_launch_leads_into_the_application_for_this_session_only() -> None:
    stage = await WebStage.start()
    visitor = await sign_in(stage)
    answer = await visitor.get(APP)
    assert (answer.status, answer.find("cache-control")) == (302, "no-store")
    assert answer.find("location") == "https://grafana.proxy.example.com:3080/x-teleport-auth?code=once"
    assert answer.find("referrer-policy") == "no-referrer"
    session, host, query, remote_addr = stage.launcher.launched[0]
    assert session == visitor.cookies["__Host-session"]
    assert (host, query, remote_addr) == ("grafana.proxy.example.com", {"path": "/d", "state": "abc"}, BROWSER)


async def test_a_stranger_launches_nothing_and_signs_in_first() -> None:
    stage = await WebStage.start()
    answer = await stage.visit().get(APP)
    assert answer.find("location").startswith("/web/login?next=%2Fweb%2Flaunch%2F")
    assert stage.launcher.launched == []


async def test_an_application_that_is_not_there_is_a_page_that_says_so() -> None:
    stage = await WebStage.start()
    answer = await (await sign_in(stage)).get("/web/launch/other.example.com")
    assert (answer.status, "There is no such application." in answer.text) == (404, True)
    assert answer.find("content-type") == "text/html; charset=utf-8"


async def test_a_session_that_is_over_is_taken_away_and_one_signs_in_anew() -> None:
    stage = await WebStage.start()
    visitor = await sign_in(stage)
    await stage.reset("alice")
    answer = await visitor.get("/web/apps")
    assert (answer.status, answer.find("location")) == (302, "/web/login")
    assert "__Host-session" not in visitor.cookies
