import itertools
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.configurations import PIN, load
from teleport.config.load import VERSIONS
from teleport.config.settings import JoinParams
from teleport.config.start_flags import STARTABLE_ROLES
from teleport.config.template import Template, render_template
from teleport.errors import BadParameter
from teleport.resources.address import parse_address
from teleport.resources.role import SystemRole

NODE = Template(nodename="graviton", roles=(SystemRole.NODE,), token="a-join-token", auth_server="auth:3025")


def test_the_file_of_a_node_is_as_the_original_writes_it() -> None:
    assert render_template(NODE) == (
        """\
version: v3
teleport:
  nodename: graviton
  data_dir: /var/lib/teleport
  join_params:
    token_name: a-join-token
    method: token
  auth_server: auth:3025
  log:
    output: stderr
    severity: INFO
    format:
      output: text
  ca_pin: ""
  diag_addr: ""
auth_service:
  enabled: "no"
ssh_service:
  enabled: "yes"
  commands:
  - name: hostname
    command: [hostname]
    period: 1m0s
proxy_service:
  enabled: "no"
app_service:
  enabled: "no"
db_service:
  enabled: "no"
windows_desktop_service:
  enabled: "no"
"""
    )


def test_without_an_answer_the_roles_are_the_originals() -> None:
    written = yaml.safe_load(render_template(Template(nodename="x")))
    enabled = {key for key, section in written.items() if isinstance(section, dict) and section.get("enabled") == "yes"}
    assert enabled == {"auth_service", "ssh_service", "proxy_service"}


def test_a_proxy_with_acme_serves_the_clusters_name_on_443() -> None:
    template = Template(nodename="x", cluster_name="example.com", acme=True, acme_email="a@example.com")
    proxy = yaml.safe_load(render_template(template))["proxy_service"]
    assert proxy["public_addr"] == "example.com:443"
    assert proxy["acme"] == {"enabled": "yes", "email": "a@example.com"}


def test_an_application_needs_no_role_beside_it() -> None:
    written = yaml.safe_load(render_template(Template(nodename="x", app_name="a", app_uri="http://a")))
    assert written["app_service"] == {"enabled": "yes", "apps": [{"name": "a", "uri": "http://a"}]}


def test_an_older_version_has_the_older_keys() -> None:
    template = Template(nodename="x", version="v2", roles=(SystemRole.NODE,), auth_server="auth:3025")
    assert yaml.safe_load(render_template(template))["teleport"]["auth_servers"] == ["auth:3025"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (Template(nodename="x", auth_server="a", proxy_server="p"), "exclude each other"),
        (Template(nodename="x", version="v2", proxy_server="p"), "needs --version=v3"),
        (Template(nodename="x", cert_file=Path("/c")), "go together"),
        (Template(nodename="x", key_file=Path("/k")), "go together"),
        (Template(nodename="x", app_name="a"), "go together"),
        (Template(nodename="x", app_uri="http://a"), "go together"),
        (Template(nodename="x", acme_email="a@b"), "needs --acme"),
        (Template(nodename="x", token="half \udcff"), "not valid Unicode"),
    ],
)
def test_answers_that_contradict_each_other_are_refused(template: Template, reason: str) -> None:
    with pytest.raises(BadParameter, match=reason):
        render_template(template)


_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60).filter(
    lambda text: text == text.strip() and not text.startswith("/")
)
_ROLES = [roles for size in (1, 2, 8) for roles in itertools.combinations(STARTABLE_ROLES, size)]


@settings(deadline=None)
@given(
    version=st.sampled_from(VERSIONS),
    roles=st.sampled_from(_ROLES),
    token=_TEXT,
    address=st.sampled_from(["auth", "auth.example.com:3025", "[::1]:3025", "10.0.0.1:443"]),
    pins=st.sampled_from([(), (PIN,), (PIN, PIN)]),
    labels=st.dictionaries(_TEXT, _TEXT, max_size=3),
    app=st.booleans(),
)
def test_what_is_written_loads_unchanged(
    version: str,
    roles: tuple[SystemRole, ...],
    token: str,
    address: str,
    pins: tuple[str, ...],
    labels: dict[str, str],
    app: bool,
) -> None:
    template = Template(
        nodename="graviton",
        version=version,
        roles=roles,
        token=token,
        auth_server=address,
        ca_pins=pins,
        labels=labels,
        app_name="app" if app else None,
        app_uri="http://localhost:8080" if app else None,
        cluster_name="example.com",
    )
    settings = load(render_template(template))
    services = {service.role: service for service in settings.services}
    assert settings.warnings == ()
    assert settings.join_params == JoinParams("token", token)
    assert settings.auth_server == parse_address(address, 3025)
    assert settings.ca_pins == pins
    assert settings.auth.enabled == (SystemRole.AUTH in roles)
    assert services.keys() == {*roles, *([SystemRole.APP] if app else [])} - {SystemRole.AUTH}
    if SystemRole.NODE in roles:
        assert services[SystemRole.NODE].labels == labels
