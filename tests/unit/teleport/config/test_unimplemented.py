from teleport.config.unimplemented import IGNORED, REFUSED


def test_no_key_is_both_refused_and_ignored() -> None:
    for path, keys in IGNORED.items():
        assert not keys & REFUSED.get(path, {}).keys(), path


def test_every_refusal_has_a_reason() -> None:
    assert all(reason for keys in REFUSED.values() for reason in keys.values())
