from pathlib import Path

import pytest

from support.logins import build_app, build_profile
from teleport.cli.tsh.app_config import choose_name, render_facts
from teleport.cli.tsh.app_list import describe_application, render_applications
from teleport.cli.tsh.application import build_application, choose_application, render_curl
from teleport.errors import BadParameter, NotFound

PROFILE = build_profile()
GUIDE = """\
Application Description Type Public Address                Labels
----------- ----------- ---- ----------------------------- --------------------------
demo-app                HTTP demo-app.teleport.example.com teleport.dev/origin=config
"""


def test_the_table_is_the_guides() -> None:
    uri = "http://demo-app.demo-app.svc.cluster.local:80"
    application = build_application(build_app("demo-app", uri=uri), PROFILE)
    assert render_applications([application], is_verbose=False, width=None) == GUIDE
    assert uri in render_applications([application], is_verbose=True, width=None)


def test_an_empty_table_has_its_header() -> None:
    header = render_applications([], is_verbose=False, width=None).splitlines()[0]
    assert header == "Application Description Type Public Address Labels"


@pytest.mark.parametrize(
    ("own", "proxys", "expected"),
    [
        ("", "", "https://grafana.teleport.example.com"),
        ("", "www.example.com:3080", "https://grafana.www.example.com:3080"),
        ("Graphs.example.com", "", "https://graphs.example.com"),
        ("graphs.example.com:9999", "", "https://graphs.example.com"),
        ("https://[x", "", "https://grafana.teleport.example.com"),
        ("", "\x1b[2J", "https://grafana.teleport.example.com"),
    ],
)
def test_an_application_is_at_its_own_name_or_below_the_proxys(own: str, proxys: str, expected: str) -> None:
    assert build_application(build_app(public_addr=own), build_profile(public_addr=proxys)).url == expected


def test_a_tcp_application_is_called_one() -> None:
    application = build_application(build_app("db", uri="tcp://localhost:5432"), PROFILE)
    assert (application.kind, application.url) == ("TCP", "tcp://db.teleport.example.com")
    assert describe_application(application)["type"] == "TCP"


def test_who_may_not_open_an_application_is_told_no_more_than_if_there_were_none() -> None:
    with pytest.raises(NotFound, match="no application 'x' that you may open"):
        choose_application([build_application(build_app(), PROFILE)], "x")


def test_the_hint_for_curl_goes_by_the_proxy_of_the_login_and_quotes_what_a_shell_would_read() -> None:
    application = build_application(build_app(), build_profile(proxy="localhost:3080", public_addr="proxy.example.com"))
    text = render_curl(application, build_profile(proxy="localhost:3080"), Path("/home/a b:c/x.pem"), is_insecure=True)
    assert text == (
        "curl \\\n  --cert '/home/a b\\:c/x.pem' \\\n  --key '/home/a b:c/x.pem' \\\n"
        "  --connect-to grafana.proxy.example.com:443:localhost:3080 \\\n  --insecure \\\n"
        "  https://grafana.proxy.example.com"
    )


def test_the_only_application_need_not_be_named() -> None:
    assert choose_name(["a"], "") == "a"
    assert choose_name(["a", "b"], "b") == "b"
    with pytest.raises(BadParameter, match="name one: a, b"):
        choose_name(["a", "b"], "")
    for logged_in, name in (([], ""), (["a"], "b")):
        with pytest.raises(NotFound, match="not logged into app"):
            choose_name(logged_in, name)


@pytest.mark.parametrize("output_format", ["text", "json", "yaml"])
def test_all_facts_are_shown_together(output_format: str) -> None:
    facts = {"name": "a", "uri": "https://a", "ca": "/ca", "cert": "/c", "key": "/k", "curl": "curl"}
    shown = render_facts(facts, output_format)
    assert all(value in shown for value in ("https://a", "/ca", "/c", "/k"))
    assert render_facts(facts, "uri") == "https://a\n"
