"""Checks, without a network, that the locks in requirements/ hold what pyproject.toml asks for.

Every requirement has a version in its lock that is within the bounds, and a package has the same one in all locks.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)

Lock = Mapping[str, str]
"""Versions by package."""


def read_lock(name: str) -> Lock:
    """Return the versions of a lock."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {canonicalize_name(pin["name"]): pin["version"] for pin in _PIN.finditer(text)}


def list_requirements(group: str, groups: Mapping[str, Any]) -> list[str]:
    """Return the requirements of a dependency group and of those it includes (PEP 735)."""
    own = [entry for entry in groups[group] if isinstance(entry, str)]
    included = [entry["include-group"] for entry in groups[group] if not isinstance(entry, str)]
    return own + [requirement for name in included for requirement in list_requirements(name, groups)]


def find_unmet(lock_name: str, lock: Lock, requirements: Iterable[str]) -> list[str]:
    """Return a sentence for each requirement that the lock does not meet."""
    problems = []
    for requirement in map(Requirement, requirements):
        version = lock.get(canonicalize_name(requirement.name))
        if version is None or version not in requirement.specifier:
            problems.append(f"{lock_name}.txt has {requirement.name} {version or 'absent'}, wanted is {requirement}")
    return problems


def find_differences(lock_name: str, lock: Lock, whole: Lock) -> list[str]:
    """Return a sentence for each package that the whole lock has in another version, or not at all."""
    return [
        f"{name} is {version} in {lock_name}.txt and {whole.get(name, 'absent')} in dev.txt"
        for name, version in lock.items()
        if whole.get(name) != version
    ]


def find_problems() -> list[str]:
    """Return what is wrong with the locks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    runtime, operator, build, dev, dist, fuzz = map(read_lock, ("runtime", "operator", "build", "dev", "dist", "fuzz"))
    dependencies = project["project"]["dependencies"]
    operator_dependencies = [*dependencies, *project["project"]["optional-dependencies"]["operator"]]
    return [
        *find_unmet("runtime", runtime, dependencies),
        *find_unmet("operator", operator, operator_dependencies),
        *find_unmet("build", build, list_requirements("build", groups)),
        *find_unmet("dev", dev, [*operator_dependencies, *list_requirements("dev", groups)]),
        *find_unmet("dist", dist, list_requirements("dist", groups)),
        *find_unmet("fuzz", fuzz, list_requirements("fuzz", groups)),
        *find_differences("runtime", runtime, dev),
        *find_differences("operator", operator, dev),
        *find_differences("build", build, dev),
    ]


if __name__ == "__main__":
    found = find_problems()
    for problem in found:
        print(f"{problem}; run: make lock")
    sys.exit(bool(found))
