import check_locks

GROUPS = {"build": ["hatchling>=1"], "dev": [{"include-group": "build"}, "pytest>=9"]}


def test_the_locks_of_this_checkout_are_up_to_date() -> None:
    assert check_locks.find_problems() == []


def test_a_group_has_the_requirements_of_those_it_includes() -> None:
    assert sorted(check_locks.list_requirements("dev", GROUPS)) == ["hatchling>=1", "pytest>=9"]


def test_a_version_within_the_bounds_meets_a_requirement() -> None:
    assert check_locks.find_unmet("runtime", {"py-yaml": "6.0.3"}, ["Py_YAML>=6,<7"]) == []


def test_a_version_beyond_the_bounds_is_named() -> None:
    problems = check_locks.find_unmet("runtime", {"click": "9.0"}, ["click>=8,<9"])
    assert problems == ["runtime.txt has click 9.0, wanted is click<9,>=8"]


def test_a_package_that_is_not_locked_is_named() -> None:
    assert check_locks.find_unmet("runtime", {}, ["click"]) == ["runtime.txt has click absent, wanted is click"]


def test_a_package_with_two_versions_is_named() -> None:
    problems = check_locks.find_differences("runtime", {"click": "8.3"}, {"click": "8.4"})
    assert problems == ["click is 8.3 in runtime.txt and 8.4 in dev.txt"]


def test_a_package_that_the_development_lock_lacks_is_named() -> None:
    assert check_locks.find_differences("build", {"x": "1"}, {}) == ["x is 1 in build.txt and absent in dev.txt"]
