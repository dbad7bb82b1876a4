from teleport.resources.authority import (
    AuthoritySpec,
    AuthorityType,
    CertAuthority,
    JwtKeyPair,
    KeySet,
    SshKeyPair,
    TlsKeyPair,
)
from teleport.resources.model import Metadata


def build_keys(name: str) -> KeySet:
    return KeySet(
        tls=(TlsKeyPair(certificate=f"tls of {name}", private_key="private"),),
        ssh=(SshKeyPair(public_key=f"ssh of {name}", private_key="private"),),
        jwt=(JwtKeyPair(public_key=f"jwt of {name}", private_key="private"),),
    )


def build_authority() -> CertAuthority:
    spec = AuthoritySpec(
        cluster_name="example.com", active_keys=build_keys("now"), additional_trusted_keys=build_keys("before")
    )
    return CertAuthority(sub_kind="host", metadata=Metadata(name="example.com"), spec=spec)


def test_all_keys_are_trusted_the_signing_ones_first() -> None:
    authority = build_authority()
    assert authority.type is AuthorityType.HOST
    assert authority.trusted_tls == ("tls of now", "tls of before")
    assert authority.trusted_ssh == ("ssh of now", "ssh of before")


def test_private_keys_are_taken_from_every_place() -> None:
    shown = build_authority().without_private_keys()
    assert "private" not in repr(shown.model_dump(exclude_defaults=True))
    assert shown.trusted_tls == build_authority().trusted_tls
    assert shown.spec.active_keys.jwt == (JwtKeyPair(public_key="jwt of now"),)


def test_private_keys_are_in_no_repr() -> None:
    assert "'private'" not in repr(build_authority())
