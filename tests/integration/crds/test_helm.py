"""The guide's manifest in a Helm chart: what Helm makes of it, what `tctl` says of it, and what works instead."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from support.declared import JUDGES
from support.token_objects import TokenObjects
from teleport_operator.manifest import parse_declaration

TEMPLATE = """\
apiVersion: "resources.teleport.dev/v2"
kind: TeleportProvisionToken
metadata:
  name: {{ randBytes 32 }}
  expires: {{ now | dateModify "+1h" }}
spec:
  # use the minimal set of roles required (e.g. Node, Proxy, App, Kube, DB, WindowsDesktop)
  roles: [Node]
"""
TCTL = (sys.executable, "-c", "from teleport.cli.tctl.main import main; main()")


@pytest.fixture
def rendered(tmp_path: Path) -> str:
    """What Helm renders of a chart that holds the manifest word for word."""
    if shutil.which("helm") is None:
        pytest.skip("NOT TESTED: what Helm makes of the guide's manifest needs helm")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "token.yaml").write_text(TEMPLATE)
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tokens\nversion: 1.0.0\n")
    return run(["helm", "template", str(tmp_path)]).stdout


def run(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def test_the_rendered_manifest_is_refused_and_its_corrected_twin_works(rendered: str, installed: TokenObjects) -> None:
    raw = yaml.safe_load(rendered)
    assert "metadata.name" in installed.create(raw["metadata"]["name"], raw["spec"]).fields

    checked = run([*TCTL, "manifests", "check"], rendered)
    assert checked.returncode == 1
    assert [line.split(": ")[1] for line in checked.stderr.splitlines()[:2]] == ["metadata.name", "metadata.expires"]

    corrected = yaml.safe_load(checked.stdout)
    assert installed.create(corrected["metadata"]["name"], corrected["spec"], "fieldValidation=Strict").accepted
    declaration = parse_declaration(installed.get(corrected["metadata"]["name"]), judges=JUDGES)
    assert declaration.expiry.ttl == timedelta(hours=1)
    assert declaration.secret is not None
    assert raw["metadata"]["name"] not in checked.stdout

    again = run([*TCTL, "manifests", "check"], checked.stdout)
    assert (again.returncode, again.stderr) == (0, "")
