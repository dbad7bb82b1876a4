"""The table of join methods; a method is a file in this package and a line here."""

from teleport.errors import NotSupported
from teleport.join import kubernetes, secret_token
from teleport.join.method import JoinMethod, Judge, JudgeContext

METHODS: dict[str, JoinMethod] = {
    "token": secret_token.METHOD,
    "kubernetes": kubernetes.METHOD,
}


def build_judges(context: JudgeContext) -> dict[str, Judge]:
    """Return the judge of every method, by its name."""
    return {name: method.build_judge(context) for name, method in METHODS.items()}


def find_method(name: str) -> JoinMethod:
    """Return the method of a name that the original knows.

    Raises:
        NotSupported: this cluster does not implement it.
    """
    method = METHODS.get(name)
    if method is None:
        raise NotSupported(f"join method {name!r} is not supported; the methods are {', '.join(METHODS)}")
    return method
