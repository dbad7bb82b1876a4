"""The Kubernetes API as far as it is used here: a method for each question, a frozen value for each answer."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, TypeVar

from teleport.clock import Clock
from teleport.errors import CompareFailed
from teleport.kube.api_server import ApiServer
from teleport.kube.connection import JSON, TIMEOUT, KubeConnection, Question, hide_tokens
from teleport.kube.errors import BadAnswer, Missing
from teleport.kube.objects import (
    AccessAnswer,
    Listing,
    ObjectChange,
    ObjectKind,
    Pod,
    Secret,
    ServiceAccountObject,
    parse_change,
    parse_pod,
    parse_secret,
    parse_service_account,
    read_block,
    read_text,
    read_texts,
    require_text,
)
from teleport.kube.outgoing import parse_date, parse_object
from teleport.kube.secret_apply import SecretApply, build_secret
from teleport.kube.server_version import ServerVersion, parse_version
from teleport.kube.token_review import ReviewStatus

T = TypeVar("T")

PAGE_SIZE = 100
MAX_OBJECT = 4 * 1024 * 1024
MAX_PAGE = 16 * 1024 * 1024
MAX_PAGES = 1000
WATCH_LIFE = timedelta(minutes=1)
"""A watch is begun anew so often; it costs little, and a connection that died unnoticed is not waited on for longer."""
WATCH_SILENCE = WATCH_LIFE + timedelta(seconds=5)

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_JWKS = "application/jwk-set+json"
_APPLY = "application/apply-patch+yaml"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_MAX_ERROR = 1000


class KubeApi:
    """A client of one API server; to be closed. Its errors are those of `KubeConnection.ask`.

    Args:
        server: where it is.
        clock: for the age of the token file.
        timeout: for each request but watches.
    """

    def __init__(self, server: ApiServer, *, clock: Clock, timeout: timedelta = TIMEOUT) -> None:
        self._connection = KubeConnection(server, clock=clock, timeout=timeout)

    @property
    def own_token(self) -> str:
        """Return the token by which this process is known there.

        Raises:
            BadAnswer: it cannot be read.
        """
        return self._connection.own_token

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask who a token is of, for these audiences; never without any, since that would mean the API server's own.

        Raises:
            BadAnswer: also a conflict, which there cannot be about a review: nothing is stored that could have changed.
        """
        if not audiences:
            raise BadAnswer("a token cannot be reviewed without an audience")
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": list(audiences)},
        }
        try:
            answer = await self._connection.call(Question("POST", _TOKEN_REVIEWS, review))
        except CompareFailed as error:
            raise BadAnswer(error.message) from error
        return copy_status(answer)

    async def review_own_access(
        self, verb: str, group: str, resource: str, *, namespace: str = "", name: str = ""
    ) -> AccessAnswer:
        """Ask whether this process may do something; without a namespace, in all of them."""
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        status = read_block(await self._connection.call(Question("POST", _ACCESS_REVIEWS, review)), "status")
        return AccessAnswer(status.get("allowed") is True, read_text(status, "reason")[:_MAX_ERROR])

    async def get_version(self) -> ServerVersion:
        """Return the API server's version."""
        return parse_version(require_text(await self._connection.call(Question("GET", "/version")), "gitVersion"))

    async def get_time(self) -> datetime | None:
        """Return what time it is by the API server's clock, to the second, or None if it does not say."""
        return parse_date((await self._connection.ask(Question("GET", "/version"))).date)

    async def get_jwks(self) -> str:
        """Return the keys by which the cluster signs ServiceAccount tokens, as text."""
        question = Question("GET", "/openid/v1/jwks", accept=f"{JSON}, {_JWKS}")
        return (await self._connection.fetch(question)).decode("utf-8", errors="replace")

    async def get_issuer(self) -> str:
        """Return the issuer that stands in the cluster's ServiceAccount tokens (OpenID Connect Discovery 1.0, 4.2)."""
        document = await self._connection.call(Question("GET", "/.well-known/openid-configuration"))
        return require_text(document, "issuer")

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod as it is now, or None if there is none of that name."""
        found = await self._get_object(namespace, "pods", name)
        return None if found is None else parse_pod(found)

    async def get_service_account(self, namespace: str, name: str) -> ServiceAccountObject | None:
        """Return a ServiceAccount, or None if there is none of that name."""
        found = await self._get_object(namespace, "serviceaccounts", name)
        return None if found is None else parse_service_account(found)

    async def list_objects(self, kind: ObjectKind[T], namespace: str) -> Listing[T]:
        """Return all objects of a kind in a namespace, asked for page by page; all pages show the same moment."""
        path = _build_path(namespace, kind.resource)
        query = {"limit": str(PAGE_SIZE)}
        objects: list[T] = []
        for _ in range(MAX_PAGES):
            page = await self._connection.call(Question("GET", path, query=query, limit=MAX_PAGE))
            items = page.get("items")
            objects += [kind.parse(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            metadata = read_block(page, "metadata")
            if not read_text(metadata, "continue"):
                return Listing(tuple(objects), require_text(metadata, "resourceVersion"))
            query["continue"] = read_text(metadata, "continue")
        raise BadAnswer(f"namespace {namespace!r} has more than {MAX_PAGES * PAGE_SIZE} {kind.resource}")

    async def watch_objects(
        self, kind: ObjectKind[T], namespace: str, resource_version: str
    ) -> AsyncGenerator[ObjectChange[T], None]:
        """Yield what becomes of the objects of a kind, for a minute; go on from the last resource version then.

        Raises:
            Gone: the version is too old; list anew.
        """
        query = {
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(WATCH_LIFE.total_seconds())),
        }
        question = Question("GET", _build_path(namespace, kind.resource), query=query)
        async with aclosing(self._connection.watch(question, silence=WATCH_SILENCE)) as lines:
            async for line in lines:
                yield parse_change(kind, parse_object(line, "the watch"))

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        """Return a Secret, or None if there is none of that name."""
        found = await self._get_object(namespace, "secrets", name)
        return None if found is None else parse_secret(found)

    async def create_secret(self, secret: SecretApply, *, field_manager: str) -> Secret:
        """Make a Secret.

        Raises:
            CompareFailed: there is one of that name.
        """
        path = _build_path(secret.namespace, "secrets")
        query = {"fieldManager": field_manager}
        question = Question("POST", path, build_secret(secret), query=query, limit=MAX_OBJECT)
        return parse_secret(await self._connection.call(question))

    async def apply_secret(self, secret: SecretApply, *, field_manager: str, force: bool = False) -> Secret:
        """Write a Secret by server-side apply: keys of this manager that are not in it any more vanish.

        Args:
            secret: as it shall be; if it is not there it is made, whatever version it shall have.
            field_manager: who writes.
            force: take fields over that another manager holds; what has changed since it was read is still refused.

        Raises:
            CompareFailed: it changed since it was read, or another manager holds one of the fields.
        """
        path = _build_path(secret.namespace, "secrets", secret.name)
        query = {"fieldManager": field_manager} | ({"force": "true"} if force else {})
        body = build_secret(secret)
        question = Question("PATCH", path, body, query=query, content_type=_APPLY, limit=MAX_OBJECT)
        return parse_secret(await self._connection.call(question))

    async def _get_object(self, namespace: str, resource: str, name: str) -> Mapping[str, Any] | None:
        try:
            question = Question("GET", _build_path(namespace, resource, name), limit=MAX_OBJECT)
            return await self._connection.call(question)
        except Missing:
            return None


def copy_status(answer: Mapping[str, Any]) -> ReviewStatus:
    """Copy the status of a TokenReview; what is not of its type is as if it were not there.

    Raises:
        BadAnswer: there is no status, or it vouches for nobody.
    """
    status = answer.get("status")
    if not isinstance(status, dict):
        raise BadAnswer("the API server's answer is no TokenReview")
    user = read_block(status, "user")
    authenticated, username = status.get("authenticated") is True, read_text(user, "username")
    if authenticated and not username:
        raise BadAnswer("the API server vouches for a token and does not say whose it is")
    return ReviewStatus(
        authenticated=authenticated,
        username=username,
        uid=read_text(user, "uid"),
        groups=read_texts(user.get("groups")),
        extra={name: read_texts(values) for name, values in read_block(user, "extra").items()},
        audiences=read_texts(status.get("audiences")),
        error=hide_tokens(read_text(status, "error"))[:_MAX_ERROR],
    )


def _build_path(namespace: str, resource: str, *name: str) -> str:
    """Return the path of a collection, or of one object in it.

    Raises:
        Missing: nothing can have such a name, and a path with dots or slashes in it would lead elsewhere.
    """
    for part in (namespace, *name):
        if not _NAME.fullmatch(part):
            raise Missing(f"{part[:64]!r} is no name of Kubernetes")
    return "/".join(["/api/v1/namespaces", namespace, resource, *name])
