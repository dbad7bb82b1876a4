"""Checks of the API server itself, and of the token by which it knows us."""

from datetime import datetime, timedelta

from teleport.auth.preflight.check import Check, Plan, Status
from teleport.auth.preflight.facts import OwnToken
from teleport.kube.errors import NoAnswer, Untrusted
from teleport.kube.server_version import OLDEST, ServerVersion

MAX_SKEW = timedelta(seconds=5)
"""Half of the leeway by which the times of tokens are judged."""

_PROJECT = "mount a projected ServiceAccount token into the pod; auth_service.kubernetes.token_file names it"


def judge_api_server(url: str, version: ServerVersion | NoAnswer) -> Check:
    """Say whether it answers, and to us."""
    if not isinstance(version, NoAnswer):
        return Check("api server", Status.OK, f"{url} answers, and its certificate is trusted")
    remedy = "see that the address is right, that the API server runs, and that no network policy is in the way"
    if isinstance(version, Untrusted):
        remedy = "the CA file must hold the CA of this cluster; in a pod it is ca.crt beside the token"
    elif " 401" in version.detail:
        remedy = f"the API server does not accept the own token; {_PROJECT}"
    return Check("api server", Status.MISSING, version.detail, remedy)


def judge_version(version: ServerVersion) -> Check:
    """Say whether its answers are understood."""
    if version.is_supported:
        return Check("version", Status.OK, version.text)
    oldest = ".".join(map(str, OLDEST))
    return Check("version", Status.MISSING, f"{version.text} is older than {oldest}", f"upgrade to {oldest} or later")


def judge_clock(skew: timedelta | None) -> Check:
    """Say how far the clocks are apart, by which the times of tokens are set and judged."""
    if skew is None:
        return Check("clock", Status.WARNING, "the API server does not say what time it is")
    seconds = abs(skew).total_seconds()
    if abs(skew) <= MAX_SKEW:
        return Check("clock", Status.OK, f"at most {int(seconds) + 1} s from the API server's")
    direction = "behind" if skew > timedelta() else "ahead of"
    return Check("clock", Status.WARNING, f"{seconds:.0f} s {direction} the API server's", "keep both on NTP")


def judge_unreadable_token(problem: NoAnswer) -> Check:
    """Say why there is no token by which anything could be asked."""
    return Check("own token", Status.MISSING, problem.detail, _PROJECT)


def judge_own_token(own: OwnToken, now: datetime) -> Check:
    """Say whose token it is, and what its end depends on."""
    until = "without end" if own.expires is None else f"until {own.expires:%Y-%m-%d %H:%M:%S} UTC"
    bound = f"bound to pod {own.pod}" if own.pod else "bound to no pod"
    finding = f"{own.subject or 'of nobody'}, {bound}, {until}"
    if own.account is None:
        return Check("own token", Status.MISSING, f"{finding}: it is of no ServiceAccount", _PROJECT)
    if own.expires is not None and own.expires <= now:
        return Check("own token", Status.MISSING, f"{finding}: it has expired", _PROJECT)
    if not own.pod or own.expires is None:
        return Check("own token", Status.WARNING, f"{finding}: whoever copies it keeps it", _PROJECT)
    return Check("own token", Status.OK, finding)


def judge_audiences(own: OwnToken, plan: Plan) -> Check:
    """Say which audience the tokens of pods must have."""
    wanted = plan.cluster_name or "the cluster's name, which tctl status shows"
    if not own.audiences:
        finding = f"the own token names none; pods must present tokens for {wanted}"
        return Check("audiences", Status.WARNING, finding, _PROJECT)
    default = ", ".join(own.audiences)
    finding = f"pods present tokens for {wanted}; or, unless require_own_audience is set, for the API server: {default}"
    return Check("audiences", Status.OK, finding)
