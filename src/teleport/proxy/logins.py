"""Logins of `tsh`: the proxy passes on what people prove, and where they do it from; auth judges."""

from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from teleport.api.host import Host
from teleport.api.operations import LOGIN_CERTIFICATES
from teleport.api.people import LoginCertificatesRequest
from teleport.api.web import LOGIN_PATH, WebLoginRequest
from teleport.clock import Clock
from teleport.errors import BadParameter, ConnectionFailed, LimitExceeded, Unavailable
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.resources.model import explain_validation
from teleport.web.call import Call, Reply, Route
from teleport.web.limits import RateLimiter

MAX_BODY_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class LoginRate:
    """How many logins an address may fail; those that succeed cost nothing, and many people may share an address."""

    period: timedelta = timedelta(minutes=1)
    average: int = 60
    burst: int = 100


def offer_logins(host: Host, *, clock: Clock) -> Offer:
    """Return the page at which a person gets certificates for keys that stay with them.

    Args:
        host: asks auth.
        clock: the present, for the rate of failures from an address.
    """
    limiter = RateLimiter(LoginRate(), clock)

    async def answer(call: Call) -> Reply:
        address = call.peer.remote_addr
        if not limiter.charge(address):
            raise LimitExceeded("too many logins have failed from this address", limiter.retry_after(address))
        asked = _parse(call.body)
        request = LoginCertificatesRequest(
            user=asked.user,
            password=asked.password,
            code=asked.code,
            keys=asked.keys,
            ttl_seconds=asked.ttl_seconds,
            remote_addr=address,
        )
        try:
            issued = await host.client.call(LOGIN_CERTIFICATES, request)
        except ConnectionFailed as error:
            raise Unavailable("the cluster's auth server does not answer at present") from error
        limiter.refund(address)
        return Reply(200, issued.model_dump_json().encode())

    route = Route(LOGIN_PATH, "POST", answer, anonymous=True, max_body=MAX_BODY_BYTES)
    return Offer(routes=with_and_without_version(route))


def _parse(body: bytes) -> WebLoginRequest:
    """Return what a person proves.

    Raises:
        BadParameter: it is not JSON, or a field is missing, unknown or out of bounds; no value is quoted.
    """
    try:
        return WebLoginRequest.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise BadParameter(explain_validation(error)) from error
