"""Assertions with fewer claims: what an application is told of its users is decided where it is served."""

from teleport.api import people as p
from teleport.auth.access import Caller
from teleport.auth.authority import Authority
from teleport.clock import Clock
from teleport.errors import AccessDenied
from teleport.pki.assertion import build_key_set, verify_assertion
from teleport.pki.jwt import JwtError
from teleport.resources.authority import AuthorityType


class AppAssertions:
    """The use case of an agent that passes on less than it was told.

    Args:
        authority: has signed the whole assertion, and signs the lesser one.
        clock: the present.
    """

    def __init__(self, *, authority: Authority, clock: Clock) -> None:
        self._authority = authority
        self._clock = clock

    async def narrow(self, request: p.AppAssertionRequest, _: Caller) -> p.AppAssertionResponse:
        """Return the same assertion for one application, with the claims that are left; it ends at the same time.

        Raises:
            AccessDenied: it is no assertion of this cluster for this application, or is over.
        """
        now = self._clock.now()
        keys = build_key_set(self._authority.trust_bundle.jwt[AuthorityType.JWT])
        try:
            found = verify_assertion(
                request.assertion, keys, issuer=self._authority.cluster_name, audience=request.uri, now=now
            )
        except JwtError as error:
            raise AccessDenied(error.message) from error
        return p.AppAssertionResponse(
            assertion=self._authority.sign_assertion(
                user=found.user,
                roles=found.roles if request.claims in {"roles", "roles-and-traits"} else (),
                traits=found.traits if request.claims in {"traits", "roles-and-traits"} else {},
                audiences=(request.uri,),
                not_before=now,
                expires=found.expires,
            )
        )
