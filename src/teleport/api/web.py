"""What a proxy's web side answers to programs that have no certificate yet."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from teleport.api.messages import Empty, PublicKeys
from teleport.api.operations import Operation
from teleport.api.people import HOUR_SECONDS, Code, LoginCertificatesResponse, Password, UserName
from teleport.resources.model import Model

LOGIN_PATH = "/webapi/login/certificates"


class WebLoginRequest(Model):
    """Prove who somebody is, for certificates; the proxy adds where that was asked from."""

    user: UserName
    password: Password
    code: Code
    keys: PublicKeys
    ttl_seconds: Annotated[int, Field(ge=60, le=12 * HOUR_SECONDS)] = 12 * HOUR_SECONDS


class _Told(BaseModel):
    """A part of what a proxy says of itself; of fields that are not known here, newer proxies may have many."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ToldAddresses(_Told):
    """Where a proxy is."""

    public_addr: Annotated[str, Field(max_length=512)] = ""


class ToldProxy(_Told):
    """How a proxy is reached."""

    ssh: ToldAddresses = ToldAddresses()


class ProxyPing(_Told):
    """Who answers at a proxy's address."""

    server_version: Annotated[str, Field(max_length=64)]
    cluster_name: Annotated[str, Field(max_length=256)]
    proxy: ToldProxy = ToldProxy()


WEB_PING = Operation("webapi/ping", Empty, ProxyPing, "read", None, "Who answers", anonymous=True, method="GET")
WEB_LOGIN = Operation(
    LOGIN_PATH.removeprefix("/"), WebLoginRequest, LoginCertificatesResponse, "create", None, "Log in", anonymous=True
)
