"""Builds the self-contained archive in dist/: the programs, their locked packages, and the interpreter that builds it.

The same sources, interpreter and libraries give the same bytes; SOURCE_DATE_EPOCH sets the time of the files.
"""

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from bundled_runtime import build_runtime, find_oldest_libc
from teleport.cli.teleport.systemd import render_unit
from teleport.version import ARCHITECTURES, VERSION, render_archive_name

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "archive"


def main() -> None:
    """Build the archive and its checksum."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        sys.exit(f"error: there is no archive for {machine}; there is for {', '.join(ARCHITECTURES)}")
    name = render_archive_name(ARCHITECTURES[machine])
    with tempfile.TemporaryDirectory(prefix="teleport-dist-") as temporary:
        folder = Path(temporary) / "teleport"
        fill(folder, name, machine)
        packed = pack(folder, read_time())
    target = ROOT / "dist" / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    target.with_name(f"{name}.sha256").write_text(f"{digest}  {name}\n")
    print(f"{target.relative_to(ROOT)}: {len(packed) / 1e6:.1f} MB, sha256 {digest}")


def fill(folder: Path, name: str, machine: str) -> None:
    """Put everything into the folder that the archive holds, and see that it runs."""
    runtime = folder / "runtime"
    build_runtime(runtime, lock=ROOT / "requirements/runtime.txt", project=ROOT)
    for copied in ("install", "README.md"):
        shutil.copy(TEMPLATES / copied, folder / copied)
    shutil.copy(ROOT / "LICENSE", folder)
    libc = ".".join(map(str, find_oldest_libc(runtime)))
    for file, text in {"VERSION": VERSION, "ARCHIVE": name, "PLATFORM": f"Linux {machine}, glibc {libc}"}.items():
        (folder / file).write_text(f"{text}\n")
    unit = folder / "examples/systemd/teleport.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(render_unit(
        teleport="/usr/local/bin/teleport", config="/etc/teleport.yaml", env_file="/etc/default/teleport",
        pid_file="/run/teleport.pid", fd_limit=524288,
    ))  # fmt: skip
    for program, entry in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items():
        write_launcher(folder / program, entry)
        subprocess.run([folder / program, "version"], env={}, stdout=subprocess.DEVNULL, check=True)


def write_launcher(path: Path, entry: str) -> None:
    """Write the file that starts a program, whose entry point is `module:function`."""
    module, _, function = entry.partition(":")
    text = (TEMPLATES / "launcher").read_text()
    path.write_text(text.replace("@MODULE@", module).replace("@FUNCTION@", function))
    path.chmod(0o755)


def read_time() -> int:
    """Return the time that files get: SOURCE_DATE_EPOCH, or that of the commit, or none."""
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    if stated is not None:
        return int(stated)
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else 0


def pack(folder: Path, time: int) -> bytes:
    """Return the folder as tar.gz, in which nothing tells who packed it, or where."""
    with tempfile.TemporaryFile() as file:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
        ):
            for path in walk(folder):
                entry = tar.gettarinfo(path, str(path.relative_to(folder.parent)))
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = "root"
                entry.mtime = time
                entry.mode = 0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644
                with path.open("rb") if path.is_file() else Path(os.devnull).open("rb") as content:
                    tar.addfile(entry, content)
        file.seek(0)
        return file.read()


def walk(folder: Path) -> Iterator[Path]:
    """Return the folder and everything in it, in one order everywhere."""
    yield folder
    yield from sorted(folder.rglob("*"))


if __name__ == "__main__":
    main()
