"""Pods that want to join: their ServiceAccount tokens, of a real API server or made up, and their requests."""

import asyncio
import base64
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from harness import CLUSTER_NAME, Section, Server
from review_stand_in import FORGED_SIGNATURE, StandIn
from support.kube_apiserver import ADMIN_TOKEN, ISSUER, KubeApiServer, running_apiserver
from teleport.api.client import connect
from teleport.api.joined import generate_keys
from teleport.api.messages import JoinRequest, ResourceRequest
from teleport.api.operations import JOIN, RESOURCE_CREATE
from wire import build_request

NAMESPACE, ACCOUNT, AUTH_ACCOUNT = "apps", "web", "auth"
TOKEN = "pods-of-the-benchmark"  # noqa: S105 - lets nobody in without a pod's own token
_PARALLEL = 8
_YEAR = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server as auth is told of it; auth's own ServiceAccount token lies in a file."""

    url: str
    ca_file: Path
    token_file: Path

    @property
    def auth_service(self) -> Section:
        """Return the section of auth's configuration."""
        files = {"ca_file": str(self.ca_file), "token_file": str(self.token_file)}
        return {"kubernetes": {"api_server": self.url, **files}}


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_up_token(audience: str, account: str = ACCOUNT) -> str:
    """Return a token of a pod like no other, as large as a real one; nothing is behind its signature."""
    now = int(time.time())
    name, uid = f"{account}-{uuid.uuid4().hex[:10]}", str(uuid.uuid4())
    claims = {
        "aud": [audience],
        "exp": now + _YEAR,
        "iat": now,
        "iss": ISSUER,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "pod": {"name": name, "uid": uid},
            "serviceaccount": {"name": account, "uid": str(uuid.uuid4())},
        },
        "nbf": now,
        "sub": f"system:serviceaccount:{NAMESPACE}:{account}",
    }
    header = {"alg": "RS256", "kid": encode(bytes(32))}
    parts = [encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    return ".".join([*parts, encode(os.urandom(256))])


def forge(token: str) -> str:
    """Return the token with something that is no signature."""
    return f"{token.rpartition('.')[0]}.{encode(FORGED_SIGNATURE)}"


def describe_stand_in(stand_in: StandIn, folder: Path) -> Cluster:
    """Return the cluster that a stand-in plays."""
    token_file = folder / "token"
    token_file.write_text(make_up_token(ISSUER, AUTH_ACCOUNT))
    return Cluster(stand_in.url, stand_in.ca_file, token_file)


@contextmanager
def real_cluster(folder: Path) -> Iterator[tuple[KubeApiServer, Cluster]]:
    """Run a real API server in which auth may review tokens."""
    with running_apiserver(folder / "kubernetes") as server:
        for account in (ACCOUNT, AUTH_ACCOUNT):
            server.create_service_account(NAMESPACE, account)
        server.bind("system:auth-delegator", NAMESPACE, AUTH_ACCOUNT)
        uid = server.create_pod(NAMESPACE, "auth-0", AUTH_ACCOUNT)
        token_file = folder / "token"
        token_file.write_text(server.request_pod_token(NAMESPACE, AUTH_ACCOUNT, "auth-0", uid))
        yield server, Cluster(server.url, server.ca_file, token_file)


async def request_tokens(server: KubeApiServer, count: int) -> list[str]:
    """Make so many pods, and return a token of each."""
    api = f"{server.url}/api/v1/namespaces/{NAMESPACE}"
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    numbers = iter(range(count))
    tokens: list[str] = []
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=False)) as session:

        async def post(path: str, body: Section) -> Any:  # noqa: ANN401 - an object of the API
            async with session.post(api + path, json=body) as response:
                response.raise_for_status()
                return await response.json()

        async def work() -> None:
            for number in numbers:
                name = f"{ACCOUNT}-{number}"
                containers = [{"name": ACCOUNT, "image": ACCOUNT}]
                pod = {"metadata": {"name": name}, "spec": {"serviceAccountName": ACCOUNT, "containers": containers}}
                uid = (await post("/pods", pod))["metadata"]["uid"]
                bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}
                spec = {"audiences": [CLUSTER_NAME], "expirationSeconds": 3600, "boundObjectRef": bound}
                answer = await post(f"/serviceaccounts/{ACCOUNT}/token", {"spec": spec})
                tokens.append(answer["status"]["token"])

        await asyncio.gather(*(work() for _ in range(_PARALLEL)))
    return tokens


def build_pod_joins(tokens: Sequence[str]) -> list[bytes]:
    """Return join requests, each with keys of its own."""
    requests = []
    for number, token in enumerate(tokens):
        name = f"{ACCOUNT}-{number}"
        keys = generate_keys().build_public_keys(name)
        request = JoinRequest(token_name=TOKEN, join_method="kubernetes", node_name=name, keys=keys, proof=token)
        requests.append(build_request(JOIN, request.model_dump_json(exclude_defaults=True).encode()))
    return requests


async def admit_pods(server: Server) -> None:
    """Store the token resource by which the pods join."""
    rules = [{"service_account": f"{NAMESPACE}:{ACCOUNT}"}]
    spec = {"roles": ["Node"], "join_method": "kubernetes", "kubernetes": {"allow": rules}}
    resource = {"kind": "token", "version": "v2", "metadata": {"name": TOKEN}, "spec": spec}
    async with connect(server.address, server.admin) as client:
        await client.call(RESOURCE_CREATE, ResourceRequest(resource=resource))
