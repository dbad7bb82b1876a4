"""Which interpreters are refused, and with which words; whole installations are tried on fresh hosts."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "install"
TOOLS = ("dirname", "id")
FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
    --version) echo "Python {version}" ;;
    *version_info*) exit {is_refused} ;;
    *ensurepip*) exit {lacks_venv} ;;
    *) exit 1 ;;
esac
"""


class Host:
    """A machine with hardly any programs, among them one that passes for Python."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.checkout = folder / "checkout"
        self.programs.mkdir()
        (self.checkout / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, self.checkout / "scripts")
        for tool in TOOLS:
            (self.programs / tool).symlink_to(shutil.which(tool) or tool)

    def add_program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def add_python(self, *, version: str = "3.12.1", is_refused: bool = False, lacks_venv: bool = False) -> None:
        text = FAKE_PYTHON.format(version=version, is_refused=int(is_refused), lacks_venv=int(lacks_venv))
        self.add_program("python3", text)

    def install(self) -> subprocess.CompletedProcess[str]:
        script, environment = self.checkout / "scripts" / "install", {"PATH": str(self.programs)}
        return subprocess.run(["/bin/sh", script, "dev"], capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def assert_is_refused(done: subprocess.CompletedProcess[str], *, because: str) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert because in done.stderr


def test_a_machine_without_python_is_told_what_to_install(host: Host) -> None:
    assert_is_refused(host.install(), because="sudo apt-get install -y python3-venv")


def test_a_python_of_another_version_is_refused_by_its_version(host: Host) -> None:
    host.add_python(version="3.9.2", is_refused=True)
    done = host.install()
    assert_is_refused(done, because="Python 3.11, 3.12 or 3.13 is needed")
    assert "Python 3.9.2" in done.stderr


def test_who_is_not_root_is_told_the_line_that_installs_venv(host: Host) -> None:
    host.add_python(lacks_venv=True)
    host.add_program("apt-get", "#!/bin/sh\nexit 1\n")
    host.add_program("id", "#!/bin/sh\necho 1000\n")
    assert_is_refused(host.install(), because="sudo apt-get install -y python3-venv\n")


def test_a_python_without_venv_is_refused_where_there_is_no_apt(host: Host) -> None:
    host.add_python(lacks_venv=True)
    assert_is_refused(host.install(), because="lacks the modules venv and ensurepip")


def test_a_failure_of_apt_ends_the_installation(host: Host) -> None:
    host.add_python(lacks_venv=True)
    host.add_program("apt-get", "#!/bin/sh\nexit 100\n")
    host.add_program("id", "#!/bin/sh\necho 0\n")
    assert host.install().returncode == 100
