import pytest

from support.auth import CLUSTER, build_token
from support.clock import FakeClock
from teleport.errors import BadParameter
from teleport.join.method import JudgeContext, UnverifiedProof, VerifiedIdentity
from teleport.join.secret_token import SecretTokenJudge, prove
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec

JUDGE = SecretTokenJudge(JudgeContext(cluster_name=CLUSTER, clock=FakeClock()))


def test_a_secret_of_eight_characters_passes_and_one_of_seven_is_refused() -> None:
    JUDGE.check_token(build_token("12345678"))
    with pytest.raises(BadParameter, match="at least 8 characters") as caught:
        JUDGE.check_token(build_token("1234567"))
    assert "1234567" not in caught.value.message


def test_rules_that_nobody_would_look_at_are_refused() -> None:
    spec = TokenSpec(roles=(SystemRole.NODE,), join_method="token", allow=({"aws_account": "1"},))
    with pytest.raises(BadParameter, match="only for join methods ec2 and iam"):
        JUDGE.check_token(Token(metadata=Metadata(name="a-test-token"), spec=spec))


async def test_whoever_knows_the_name_is_nobody_in_particular() -> None:
    proof = UnverifiedProof(raw="whatever", remote_addr="192.0.2.7", key_fingerprint="0")
    assert await JUDGE.judge(build_token(), proof) == VerifiedIdentity()
    assert "whatever" not in repr(proof)


def test_there_is_no_further_proof() -> None:
    assert prove() == ""
