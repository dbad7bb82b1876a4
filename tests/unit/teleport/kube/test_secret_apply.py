from teleport.kube.secret_apply import SecretApply, build_secret


def test_what_is_not_set_is_left_to_others() -> None:
    assert build_secret(SecretApply("teleport", "state", {"id": b"\x00\xff"})) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": "state", "namespace": "teleport"},
        "data": {"id": "AP8="},
    }


def test_what_is_set_is_written() -> None:
    secret = SecretApply("teleport", "state", {}, resource_version="7", labels={"a": "b"}, annotations={"c": "d"})
    assert build_secret(secret)["metadata"] == {
        "name": "state",
        "namespace": "teleport",
        "resourceVersion": "7",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
    }


def test_the_data_is_not_shown() -> None:
    assert "hidden" not in repr(SecretApply("teleport", "state", {"id": b"hidden"}))
