"""A login: who somebody is in a cluster, and through which proxy it is reached."""

from datetime import datetime

from pydantic import Field

from teleport.api.identity import Identity
from teleport.errors import AccessDenied
from teleport.resources.address import Address, parse_address
from teleport.resources.model import Model, Time
from teleport.resources.user import Traits

HTTPS_PORT = 443


class Profile(Model):
    """What `tsh login` leaves behind; it holds private keys, and lives in a file of its user alone."""

    proxy: str
    """As it was dialled: `host:port`."""
    public_addr: str = ""
    """As the proxy calls itself to the world, where it does."""
    cluster_name: str
    user: str
    roles: tuple[str, ...]
    logins: tuple[str, ...] = ()
    """Names on hosts, by the SSH certificate."""
    extensions: tuple[str, ...] = ()
    """What the SSH certificate allows there."""
    traits: Traits = Field(default_factory=dict)
    valid_until: Time
    identity: Identity

    @property
    def address(self) -> Address:
        """Return where the proxy is."""
        return parse_address(self.proxy, HTTPS_PORT)

    @property
    def url(self) -> str:
        """Return the address as browsers want it."""
        return f"https://{self.proxy}"

    def is_valid(self, now: datetime) -> bool:
        """Tell whether the certificates are still good for something."""
        return now < self.valid_until

    def check_valid(self, now: datetime) -> None:
        """Refuse to go on with certificates that nobody accepts.

        Raises:
            AccessDenied: their time is over; the message says what to do.
        """
        if not self.is_valid(now):
            raise AccessDenied(
                f"the login of {self.user} at {self.proxy} has expired: log in again with "
                f"`tsh login --proxy={self.proxy} --user={self.user}`"
            )
