import pytest

from teleport.kube.errors import BadAnswer
from teleport.kube.server_version import parse_version


@pytest.mark.parametrize(
    ("text", "is_supported"),
    [
        ("v1.34.4", True),
        ("v1.29.0", True),
        ("v1.28.99", False),
        ("v2.0.0", True),
        ("v1.30.1-eks-fb459a0", True),
        ("v1.31.5+k3s1", True),
        ("v1.30.5-gke.1014001", True),
    ],
)
def test_versions_of_all_vendors_are_read(text: str, is_supported: bool) -> None:
    version = parse_version(text)
    assert (version.text, version.is_supported) == (text, is_supported)


@pytest.mark.parametrize("text", ["v1.19.7", "v1.21.14", "v1.23.13-eks-fb459a0"])
def test_ver_001_005_versions_before_1_29_are_read_and_not_supported(text: str) -> None:
    assert not parse_version(text).is_supported


@pytest.mark.parametrize(
    "text", ["v123", "", "1.34.4", "v1.34", "v1.x.0", "v1.34.4 ", "v1.34.4\n", "v1." + "9" * 400 + ".0", "v1.\u0663.0"]
)
def test_ver_003_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(BadAnswer):
        parse_version(text)
