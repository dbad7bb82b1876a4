"""The Kubernetes API as an asynchronous client: few calls, bounded answers, no redirects, our own errors."""

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from teleport.errors import Unavailable
from teleport.kube.api_server import MAX_CA_BYTES, ApiServer, TokenFile, read_bounded
from teleport.kube.token_review import ReviewStatus

if TYPE_CHECKING:
    from teleport.lean_aiohttp import aiohttp

MAX_ANSWER = 1024 * 1024
TIMEOUT = timedelta(seconds=5)
MAX_RETRY_AFTER = timedelta(seconds=30)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


class Forbidden(Unavailable):
    """The API server does not let this process ask; a person must grant the right."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What is looked at of a pod."""

    name: str
    uid: str
    service_account: str
    is_terminating: bool


class KubeApi:
    """A client of one API server; to be closed.

    Args:
        server: where it is.
    """

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._token_file = TokenFile(server.token_file)
        self._session: aiohttp.ClientSession | None = None

    @property
    def own_token(self) -> str:
        """Return the token by which this process is known there.

        Raises:
            Unavailable: it cannot be read.
        """
        return self._token_file.read()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask who a token is of, for these audiences; never without any, since that would mean the API server's own.

        Raises:
            Forbidden: this process may not ask that.
            Unavailable: no answer, or none that can be read.
        """
        if not audiences:
            raise Unavailable("a token cannot be reviewed without an audience")
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": list(audiences)},
        }
        answer = await self._call("POST", _REVIEWS, review)
        return _copy_status(answer.get("status"))

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod as it is now, or None if there is none of that name.

        Raises:
            Forbidden: this process may not read pods there.
            Unavailable: no answer, or none that can be read.
        """
        if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name):
            return None  # nothing can have such a name, and a path with dots in it would lead elsewhere
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        try:
            pod = await self._call("GET", path, None)
        except _NotThere:
            return None
        metadata, spec = pod.get("metadata"), pod.get("spec")
        if not isinstance(metadata, dict) or not isinstance(spec, dict):
            raise Unavailable("the API server's answer is no pod")
        return Pod(
            name=str(metadata.get("name", "")),
            uid=str(metadata.get("uid", "")),
            service_account=str(spec.get("serviceAccountName", "")),
            is_terminating=metadata.get("deletionTimestamp") is not None,
        )

    async def get_jwks(self) -> str:
        """Return the keys by which the cluster signs ServiceAccount tokens.

        Raises:
            Unavailable: no answer, or none that can be read.
        """
        return (await self._fetch("GET", "/openid/v1/jwks", None)).decode("utf-8", errors="replace")

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        content = await self._fetch(method, path, None if body is None else json.dumps(body).encode())
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Unavailable("the API server's answer is no JSON") from error
        if not isinstance(answer, dict):
            raise Unavailable("the API server's answer is no object")
        return answer

    async def _fetch(self, method: str, path: str, body: bytes | None) -> bytes:
        """Return a successful answer; a 401 is tried once more with the token read anew."""
        for _ in range(2):
            status, retry_after, content = await self._send(method, path, body)
            if status != 401:  # noqa: PLR2004 - HTTP: this process is not known
                break
            self._token_file.forget()
        _check_status(status, retry_after, content)
        return content

    async def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, timedelta, bytes]:
        from teleport.lean_aiohttp import aiohttp  # noqa: PLC0415 - only an auth server that asks Kubernetes carries it

        headers = {
            "Authorization": f"Bearer {self._token_file.read()}",
            "Accept": "application/json, application/jwk-set+json",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._connect().request(
                method, self._server.url + path, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.content.read(MAX_ANSWER + 1)
                while len(content) <= MAX_ANSWER and not response.content.at_eof():
                    content += await response.content.read(MAX_ANSWER + 1 - len(content))
                retry_after = _parse_retry_after(response.headers.get("Retry-After", ""))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            raise Unavailable(f"cannot reach the Kubernetes API at {self._server.url}: {reason}") from error
        if len(content) > MAX_ANSWER:
            raise Unavailable(f"the API server's answer is larger than {MAX_ANSWER} bytes")
        return response.status, retry_after, content

    def _connect(self) -> "aiohttp.ClientSession":
        from teleport.lean_aiohttp import aiohttp  # noqa: PLC0415 - only an auth server that asks Kubernetes carries it

        if self._session is None:
            try:
                context = ssl.create_default_context(cadata=read_bounded(self._server.ca_file, MAX_CA_BYTES))
            except (ssl.SSLError, ValueError) as error:
                raise Unavailable(f"{self._server.ca_file} holds no CA certificate") from error
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=0),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT.total_seconds()),
                auto_decompress=False,
            )
        return self._session


class _NotThere(Unavailable):
    """The API server says 404."""


def _check_status(status: int, retry_after: timedelta, content: bytes) -> None:
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP: success
        return
    message = _read_message(content)
    if status == 403:  # noqa: PLR2004 - HTTP: not allowed
        raise Forbidden(f"Kubernetes does not allow it: {message}")
    if status == 404:  # noqa: PLR2004 - HTTP: not found
        raise _NotThere(f"Kubernetes does not know it: {message}")
    raise Unavailable(f"the Kubernetes API answered {status}: {message}", retry_after)


def _read_message(content: bytes) -> str:
    try:
        message = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "without a reason"
    return str(message)[:500]


def _parse_retry_after(text: str) -> timedelta:
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1  # noqa: PLR2004 - digits
    return min(timedelta(seconds=seconds), MAX_RETRY_AFTER)


def _copy_status(status: object) -> ReviewStatus:
    """Copy the fields of an answer; what is not of its type is as if it were not there."""
    if not isinstance(status, dict):
        raise Unavailable("the API server's answer is no TokenReview")
    user = status.get("user")
    user = user if isinstance(user, dict) else {}
    extra = user.get("extra")
    return ReviewStatus(
        authenticated=status.get("authenticated") is True,
        username=_text(user.get("username")),
        uid=_text(user.get("uid")),
        groups=_texts(user.get("groups")),
        extra={str(name): _texts(values) for name, values in extra.items()} if isinstance(extra, dict) else {},
        audiences=_texts(status.get("audiences")),
        error=_text(status.get("error"))[:1000],
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
