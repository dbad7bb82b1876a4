from teleport.web.call import Call, Peer, Reply

SECRET = b"the-secret-token"


def test_a_peer_without_certificate_is_anonymous() -> None:
    assert Peer("192.0.2.7").anonymous
    assert not Peer("192.0.2.7", b"certificate").anonymous


def test_bodies_are_not_shown_in_reprs() -> None:
    shown = repr(Call(Peer("192.0.2.7"), SECRET)) + repr(Reply(200, SECRET))
    assert "secret" not in shown
