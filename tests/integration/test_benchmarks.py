"""The benchmarks that nobody else would miss until a figure is wanted, each as small as it can be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDS_NGINX = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("wrk")),
    reason="not tested: forwarding is measured against nginx, by wrk; `apt-get install nginx-light wrk`",
)


@pytest.mark.parametrize(
    ("name", "size", "row"),
    [
        ("kubernetes_joins", 20, "kubernetes joins, stand-in, one core"),
        ("forged_joins", 40, "  beside as many forged ones"),
        ("join_storm", 100, "storm of 100 pods, 200 reviews/s"),
        ("operator_objects", 30, "  objects whose resource version changed"),
        pytest.param("forwarding", 1, "uploads of 1 MiB, forwarded, one core", marks=NEEDS_NGINX),
        pytest.param("applications", 1, "uploads of 1 MiB, proxy and tunnel, one core", marks=NEEDS_NGINX),
    ],
)
def test_a_small_run_prints_its_table(name: str, size: int, row: str) -> None:
    done = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", str(size)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert any(line.startswith(row) and line != row for line in done.stdout.splitlines()), done.stdout
