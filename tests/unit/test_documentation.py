"""The documentation and the code say the same: keys, events, reasons, links and the examples in pages."""

import ast
import re
from pathlib import Path

import click
import pytest

import generate_reference
from teleport.auth import audit
from teleport.auth.audit import EventType
from teleport.cli.tctl.main import tctl
from teleport.cli.tsh.main import tsh
from teleport.config.document import Section
from teleport.config.load import load_settings
from teleport.version import VERSION

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference"
SOURCES = sorted((ROOT / "src").rglob("*.py"))

EVERY_SECTION = """
version: v3
teleport:
  auth_server: auth.example.com
  connection_limits: {rates: [{period: 1s, average: 1, burst: 1}]}
auth_service: {enabled: no}
ssh_service: {enabled: yes, commands: [{name: a, command: [b]}]}
kubernetes_service: {commands: [{name: a, command: [b]}]}
proxy_service: {https_keypairs: [{key_file: /k, cert_file: /c}]}
app_service: {apps: [{name: a, uri: "http://a", commands: [{name: a, command: [b]}]}]}
db_service: {databases: [{name: a, protocol: a, uri: a, dynamic_labels: [{name: a, command: [b]}]}]}
"""
"""Has an entry in every list, so that the keys of entries are asked for."""


def list_keys(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return every key that the reader of configurations asks for."""
    asked: set[str] = set()
    ask = Section._ask

    def remember(section: Section, key: str) -> object:
        asked.add(section._path_of(key))
        return ask(section, key)

    monkeypatch.setattr(Section, "_ask", remember)
    load_settings(EVERY_SECTION, hostname="host")
    return {key for key in asked if not any(other.startswith((f"{key}.", f"{key}[]")) for other in asked)}


def list_reasons() -> set[str]:
    """Return every reason that the code gives for a refusal."""
    calls = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    found: set[str] = set()
    for call in calls:
        texts = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
        if isinstance(call.func, ast.Name) and call.func.id == "JoinRefused":
            texts += call.args[:1]
        found |= {text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str)}
    return found


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_key_of_the_configuration_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REFERENCE / "teleport-yaml.md").read_text().partition("## Keys that are refused")[0]
    described = re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)
    assert sorted(described) == sorted(list_keys(monkeypatch))


@pytest.mark.parametrize(
    "example", re.findall(r"```yaml\n(version.*?)```", (REFERENCE / "teleport-yaml.md").read_text(), re.DOTALL)
)
def test_the_examples_of_configurations_can_be_read(example: str) -> None:
    settings = load_settings(example.replace("/var/lib/teleport/token", "a-token-of-some-length"), hostname="host")
    assert settings.warnings == ()


def test_every_audit_event_is_described() -> None:
    described = re.findall(
        r"^\| `([a-z_.]+)` \| `([A-Z0-9]+)`", (REFERENCE / "audit-events.md").read_text(), re.MULTILINE
    )
    known = {(event.name, event.code) for event in vars(audit).values() if isinstance(event, EventType)}
    assert set(described) == known


def test_every_reason_is_described() -> None:
    text = (REFERENCE / "audit-events.md").read_text().partition("## Reasons")[2]
    described = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert list_reasons() - {"refused"} <= described


def test_the_generated_pages_are_up_to_date() -> None:
    outdated = [
        page.name
        for page in REFERENCE.glob("*.md")
        if generate_reference.build_page(page.read_text()) != page.read_text()
    ]
    assert outdated == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else page.parent / path
        assert there.exists(), target
        assert not anchor or anchor in list_anchors(there), target


@pytest.mark.parametrize("program", [tctl, tsh], ids=lambda program: str(program.name))
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page: Path, program: click.Group) -> None:
    for line in re.findall(rf"\b{program.name} ((?:[a-z]+ ?)+)", page.read_text()):
        command: click.Command | None = program
        for word in line.split():
            if not isinstance(command, click.Group):
                break
            command = command.get_command(click.Context(command), word)
            assert command is not None, line


def test_the_manifests_name_the_image_of_this_version() -> None:
    manifests = [path.read_text() for path in (ROOT / "examples" / "02-kubernetes").glob("*.yaml")]
    images = {image for text in manifests for image in re.findall(r"image: (\S+)", text)}
    assert images == {f"teleport:{VERSION}"}


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text()
