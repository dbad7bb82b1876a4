"""Method `token`: whoever knows the token's name may join, so the name is the secret."""

from teleport.errors import BadParameter
from teleport.join.method import JoinMethod, JudgeContext, UnverifiedProof, VerifiedIdentity
from teleport.resources.token import MIN_SECRET_LENGTH, Token


class SecretTokenJudge:
    """Knowing the name was enough to find the token; there is nothing more to judge."""

    def __init__(self, context: JudgeContext) -> None:
        self._cluster_name = context.cluster_name

    def check_token(self, token: Token) -> None:
        """Refuse secrets that can be guessed, and rules that this method would not look at.

        Raises:
            BadParameter: the name is too short, or `spec.allow` holds rules.
        """
        if token.spec.allow:
            raise BadParameter("spec.allow is only for join methods ec2 and iam")
        if len(token.name) < MIN_SECRET_LENGTH:
            raise BadParameter(
                f"a secret token must have at least {MIN_SECRET_LENGTH} characters; without a name one is made"
            )

    async def judge(self, token: Token, proof: UnverifiedProof) -> VerifiedIdentity:  # noqa: ARG002 - nothing to look at
        """Return an identity without attributes: the secret says nothing about who knows it."""
        return VerifiedIdentity()


def prove() -> str:
    """Return nothing: the request carries the token's name already."""
    return ""


def explain(cluster_name: str) -> str:
    """Say how to get another token."""
    return (
        f"get a new token in cluster {cluster_name!r} with `tctl tokens add --type=...` for the roles of this process"
    )


METHOD = JoinMethod(build_judge=SecretTokenJudge, prove=prove, explain=explain)
