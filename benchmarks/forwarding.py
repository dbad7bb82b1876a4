"""What forwarding costs, as a ratio of nginx's `proxy_pass` to the same application in the same run.

It runs where `nginx` and `wrk` are on the PATH (Debian: `apt-get install nginx-light wrk`). nginx is the application,
too, beside the load; the proxy that is measured has a core of its own. It is one hop without TLS and tunnel.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import LOAD_CORE, cpu_seconds, free_port, pin_load, pinned_process, progress, report, wait_for_port

FILE_SIZE = 10 * 1024 * 1024
UPLOAD_SIZE = 1024 * 1024
_MEBIBYTE = 1024 * 1024
COMMON = """
daemon off; master_process off; pid {root}/{name}.pid; error_log {root}/{name}.log; worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 60s; client_max_body_size 0;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; default_type text/plain;
"""
APPLICATION = (
    COMMON
    + """
  sendfile on;
  server {{ listen 127.0.0.1:{port};
    location /small {{ return 200 "a small answer"; }}
    location /file {{ root {root}; }}
    location /upload {{
      client_body_buffer_size 2m; proxy_set_body ""; proxy_set_header Content-Length 0;
      proxy_pass http://127.0.0.1:{port}/small;  # after the whole body is there
    }}
  }}
}}
"""
)
_PROXY = (
    COMMON
    + """
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_max_temp_file_size 0; proxy_request_buffering off;
  upstream app {{ server 127.0.0.1:{app}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; }} }}
}}
"""
)
UPLOAD = f"""
wrk.method = "POST"
wrk.body = string.rep("x", {UPLOAD_SIZE})
"""


@dataclass(frozen=True)
class Load:
    """What is asked for.

    Args:
        name: the row of the table.
        path: what is requested.
        size: bytes of body that each request moves; nought counts requests.
        connections: how many at once.
    """

    name: str
    path: str
    size: int
    connections: int


LOADS = (
    Load("small requests", "/small", 0, 32),
    Load("downloads of 10 MiB", "/file", FILE_SIZE, 4),
    Load("uploads of 1 MiB", "/upload", UPLOAD_SIZE, 4),
)


@dataclass(frozen=True)
class Figure:
    """What a proxy did: a second, and a request."""

    rate: float
    cpu: float


@contextmanager
def run_nginx(root: Path, name: str, text: str, core: int | None = None) -> Iterator[int]:
    """Run nginx for the time of a block: on the server's core, or on the one that is given."""
    config = root / f"{name}.conf"
    config.write_text(text, encoding="ascii")
    command = ["nginx", "-c", str(config), "-p", str(root), "-e", str(root / f"{name}.log")]
    with pinned_process(command if core is None else ["taskset", "-c", str(core), *command], root / name) as process:
        yield process.pid


def measure(
    pid: int, port: int, load: Load, seconds: int, script: Path, *, scheme: str = "http", headers: Sequence[str] = ()
) -> Figure:
    """Load a proxy, and return what it did."""
    command = [
        "wrk",
        "-t1",
        "--timeout",
        "60s",
        f"-c{load.connections}",
        f"-d{seconds}s",
        *(f"-H{header}" for header in headers),
        f"{scheme}://127.0.0.1:{port}{load.path}",
    ]
    if load.path == "/upload":
        command[1:1] = ["-s", str(script)]
    cpu = cpu_seconds(pid)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    used = cpu_seconds(pid) - cpu
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", done.stdout)
    if found is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    requests, spent = int(found[1]), float(found[2])
    return Figure(requests / spent, used / max(1, requests))


def show(load: Load, ours: Figure, theirs: Figure, how: str = "forwarded, one core") -> None:
    """Print the rows of one load."""
    unit = load.size / _MEBIBYTE if load.size else 1
    name = "MiB/s" if load.size else "/s"
    report(f"{load.name}, {how}", f"{ours.rate * unit:.0f} {name}")
    report("  the same by nginx", f"{theirs.rate * unit:.0f} {name}")
    report("  ratio", f"x{ours.rate / theirs.rate:.2f}")
    report("  processor time of a request, ratio", f"x{ours.cpu / theirs.cpu:.1f}" if theirs.cpu else "-")


def main(seconds: int) -> None:
    """Print requests and bytes a second through one forwarding process, and through nginx."""
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        report("forwarding", f"{' and '.join(missing)} not installed")
        return
    pin_load()
    root = Path(tempfile.mkdtemp(prefix="forwarding-bench-"))
    (root / "file").write_bytes(b"x" * FILE_SIZE)
    script = root / "upload.lua"
    script.write_text(UPLOAD, encoding="ascii")
    app, nginx, port = free_port(), free_port(), free_port()
    server = [sys.executable, str(Path(__file__).with_name("forwarding_server.py")), str(port)]
    with (
        run_nginx(root, "app", APPLICATION.format(root=root, name="app", port=app), LOAD_CORE),
        run_nginx(root, "proxy", _PROXY.format(root=root, name="proxy", port=nginx, app=app)) as theirs,
        pinned_process([*server, f"http://127.0.0.1:{app}"], root / "log") as process,
    ):
        wait_for_port(port, process, root / "log")
        for load in LOADS:
            progress(load.name)
            measure(process.pid, port, load, 1, script)
            show(
                load,
                measure(process.pid, port, load, seconds, script),
                measure(theirs, nginx, load, seconds, script),
            )
    shutil.rmtree(root)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
