"""People and a real browser: an invitation that `tctl` prints, passwords, codes, the list of applications."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from support.browser import Browser, find_browser_obstacle, open_browser
from support.cluster import Agent, AuthServer
from support.processes import Processes
from support.proxy import Proxy
from support.web_app import serve_page
from support.web_visitor import PASSWORD, build_code
from teleport.resources.strict_yaml import parse_documents

PROXY = "proxy.example.com"
DESCRIPTION = "Dashboards <script>document.body.textContent = 'taken'</script><img src=x onerror=alert(1)>"
ROLE = """
kind: role
version: v7
metadata: {name: prod-only}
spec: {allow: {app_labels: {env: prod}}}
"""


@pytest.fixture(scope="module", autouse=True)
def _needs_a_browser() -> None:
    obstacle = find_browser_obstacle()
    if obstacle is not None:
        pytest.skip(f"NOT TESTED: the pages in a real browser: {obstacle}")


@pytest.fixture(scope="module")
def proxy(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that all tests of this module share, and an agent that serves an application."""
    folder = tmp_path_factory.mktemp("shared")
    proxy = Proxy(shared_processes, folder / "front", auth, public_host=PROXY).start()
    auth.wait_for_record("front", "proxy")
    auth.tctl("create", stdin=ROLE)
    with serve_page() as port:
        agent = Agent(shared_processes, folder / "apps", auth.address, roles="app")
        app = {"name": "grafana", "uri": f"http://127.0.0.1:{port}", "description": DESCRIPTION}
        config = agent.configure(app_service={"enabled": "yes", "apps": [app | {"labels": {"env": "dev"}}]})
        agent.process.environment["TELEPORT_TUNNEL_PUBLIC_ADDR"] = str(proxy.address)
        token = auth.add_token("app", suggested_labels={"env": ["dev"]})
        agent.start(f"--config={config}", f"--token={token}", f"--ca-pin={auth.get_pin()}").wait_until_ready()
        yield proxy


@pytest.fixture
def browser(proxy: Proxy, tmp_path: Path) -> Iterator[Browser]:
    """Open a browser that nobody has used."""
    with open_browser(tmp_path / "browser", resolve=f"MAP *.example.com {proxy.address.host}") as browser:
        yield browser
        assert browser.list_complaints() == []


def add_user(auth: AuthServer, user: str, roles: str = "access") -> str:
    (document,) = parse_documents(auth.tctl("users", "add", user, f"--roles={roles}", "--format=yaml"))
    return str(document["url"])


def accept(browser: Browser, url: str) -> str:
    """Accept an invitation in the browser and return the second factor's secret."""
    browser.open(url)
    secret = browser.find("#secret").text.replace(" ", "")
    browser.fill(password=PASSWORD, repeated=PASSWORD, code=build_code(secret, 0))
    browser.wait_for_path("/web/apps")
    return secret


def test_from_an_invitation_to_the_list_and_out_again_and_in(auth: AuthServer, proxy: Proxy, browser: Browser) -> None:
    url = add_user(auth, "alice")
    assert url.startswith(f"https://{PROXY}:{proxy.address.port}/web/invite/")
    secret = accept(browser, url)
    browser.wait_for_text("grafana")
    assert DESCRIPTION in browser.text  # hostile 63
    browser.press("header button")
    browser.wait_for_path("/web/login")
    browser.open(f"https://{PROXY}:{proxy.address.port}/web/apps")
    browser.wait_for_path("/web/login")
    browser.fill(user="alice", password=PASSWORD, code=build_code(secret))
    browser.wait_for_path("/web/apps")
    browser.wait_for_text("grafana")


def test_an_application_opens_with_its_websocket(auth: AuthServer, proxy: Proxy, browser: Browser) -> None:
    accept(browser, add_user(auth, "dora"))
    browser.press("main a.button")
    browser.wait_for_text("heard hello")
    assert browser.driver.current_url == f"https://grafana.{PROXY}:{proxy.address.port}/"


def test_who_opens_an_application_first_signs_in_and_comes_back_to_the_same_page(
    auth: AuthServer, proxy: Proxy, browser: Browser
) -> None:
    secret = accept(browser, add_user(auth, "erin"))
    browser.press("header button")
    browser.open(f"https://grafana.{PROXY}:{proxy.address.port}/d/1?a=b%20c&d=%2F")
    browser.wait_for_path("/web/login")
    browser.fill(user="erin", password=PASSWORD, code=build_code(secret))
    browser.wait_for_text("heard hello")
    assert browser.driver.current_url == f"https://grafana.{PROXY}:{proxy.address.port}/d/1?a=b%20c&d=%2F"


def test_a_user_without_the_role_does_not_get_into_the_application_by_its_address(
    auth: AuthServer, proxy: Proxy, browser: Browser
) -> None:
    accept(browser, add_user(auth, "frank", "prod-only"))
    browser.open(f"https://grafana.{PROXY}:{proxy.address.port}/")
    browser.wait_for_text("you may not open it")
    assert browser.driver.current_url.startswith(f"https://{PROXY}:")


def test_a_wrong_code_is_refused_and_the_name_is_still_there(auth: AuthServer, browser: Browser) -> None:
    secret = accept(browser, add_user(auth, "bob"))
    browser.press("header button")
    browser.wait_for_path("/web/login")
    browser.fill(user="bob", password=PASSWORD, code="000000")
    browser.wait_for_text("is wrong")
    assert browser.find("#user").get_attribute("value") == "bob"
    assert browser.find("#password").get_attribute("value") == ""
    browser.fill(password=PASSWORD, code=build_code(secret))
    browser.wait_for_path("/web/apps")


def test_a_user_without_the_role_does_not_see_the_application(auth: AuthServer, browser: Browser) -> None:
    accept(browser, add_user(auth, "carol", "prod-only"))
    browser.wait_for_text("no application that you may open")
    assert "grafana" not in browser.text


def test_every_field_has_its_label_and_the_keyboard_is_enough(proxy: Proxy, browser: Browser) -> None:
    browser.open(f"https://{PROXY}:{proxy.address.port}/")
    browser.wait_for_path("/web/login")
    for field in browser.driver.find_elements(By.CSS_SELECTOR, "input:not([type=hidden])"):
        assert field.accessible_name
    active = browser.driver.switch_to.active_element
    assert active.get_attribute("id") == "user"


def test_pages_fit_a_phone(auth: AuthServer, proxy: Proxy, browser: Browser) -> None:
    browser.driver.set_window_size(360, 740)
    for url in (f"https://{PROXY}:{proxy.address.port}/web/login", add_user(auth, "grace"), None):
        if url is None:
            accept(browser, add_user(auth, "heidi"))
        else:
            browser.open(url)
        excess = browser.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert excess <= 0
