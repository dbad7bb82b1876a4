"""The live API against its own description: whatever is sent, the answer is one that the document promises."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from support.cluster import PATIENT, AuthServer
from support.processes import PATIENCE, Processes
from support.raw_client import send
from teleport.api.operations import OPENAPI_PATH, OPERATIONS, Operation

EXAMPLES = 30
"""For each operation; the seed is fixed, so that a run is like the one before it."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]

REFUSALS = {"checks": {"negative_data_rejection": {"expected-statuses": ["400", "403", "404", "413"]}}}
"""What a request that does not fit is answered with; a body may be too large before anybody has looked into it."""
KINDS_OF_REQUESTS = [
    pytest.param(operation, mode, id=f"{operation.name}-{mode.value}")
    for operation in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if operation.method == "POST" or mode is GenerationMode.POSITIVE
]
"""Requests that fit the schema, and such that do not; a GET has nothing in it that could not fit."""
BOUNDS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def auth(shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AuthServer:
    """An auth server whose refusals do not depend on how fast they follow each other."""
    return AuthServer(shared_processes, tmp_path_factory.mktemp("shared") / "auth", teleport=PATIENT).start()


@pytest.fixture(scope="module")
def described_api(auth: AuthServer) -> schemathesis.BaseSchema:
    status, document = send(auth, OPENAPI_PATH, identity=auth.admin, method="GET")
    assert status == 200
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(REFUSALS))


@pytest.fixture(scope="module")
def session(auth: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    """Speaks for the administrator of the auth server's host."""
    folder: Path = tmp_path_factory.mktemp("admin")
    certificate, authorities = folder / "admin.pem", folder / "ca.pem"
    certificate.touch(mode=0o600)
    certificate.write_text(auth.admin.tls_certificate + auth.admin.tls_key)
    authorities.write_text("".join(auth.admin.host_ca_certificates))
    with requests.Session() as opened:
        opened.cert, opened.verify, opened.trust_env = str(certificate), str(authorities), False
        yield opened


@pytest.mark.parametrize(("operation", "mode"), KINDS_OF_REQUESTS)
def test_every_answer_is_described(
    described_api: schemathesis.BaseSchema,
    auth: AuthServer,
    session: requests.Session,
    operation: Operation[Any, Any],
    mode: GenerationMode,
) -> None:
    cases = described_api[operation.path][operation.method].as_strategy(generation_mode=mode)

    @BOUNDS
    @given(case=cases)
    def check(case: Any) -> None:
        case.call_and_validate(
            base_url=f"https://{auth.address}", session=session, verify=session.verify, checks=CHECKS, timeout=PATIENCE
        )

    check()
