"""Cases of `tctl tokens test`: a document that says of pods whether token resources admit them.

What nobody knows is refused with its line.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

import yaml

from teleport.config.document import Section, read_node
from teleport.config.findings import Findings
from teleport.errors import BadParameter
from teleport.resources.model import parse_time
from teleport.resources.role import SystemRole, parse_role

DEFAULT_CLUSTER = "cluster.example.com"
DEFAULT_API_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
"""That of clusters which kubeadm made."""
DEFAULT_LIFE = timedelta(minutes=10)
MAX_LIFE = timedelta(days=10 * 365)


class Expectation(StrEnum):
    """What a case expects."""

    ADMITTED = "admitted"
    REFUSED = "refused"


class Binding(StrEnum):
    """What a ServiceAccount token is bound to."""

    POD = "pod"
    SECRET = "secret"  # noqa: S105 - a kind of Kubernetes
    NODE = "node"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Given:
    """The pod that a case is about, and how it asks."""

    service_account: str
    audiences: tuple[str, ...]
    """Empty means the cluster's name."""
    bound_to: Binding
    life: timedelta
    issuer: str | None
    """None means the one that the token resource names."""
    role: SystemRole | None
    address: str | None
    token: str | None
    """The token resource that the pod names; None means that all are tried."""
    at: datetime | None
    """When it asks; None means now."""


@dataclass(frozen=True, slots=True)
class Case:
    """One story and its end."""

    name: str
    given: Given
    expect: Expectation
    reason: str | None
    by: tuple[str, ...]
    """The token resources that must admit it, and no others; empty leaves that open."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one document."""

    cluster_name: str
    api_audiences: tuple[str, ...]
    cases: tuple[Case, ...]


def parse_suite(node: yaml.MappingNode, origin: str) -> Suite:
    """Read a document with cases.

    Args:
        node: the document.
        origin: where it stands, as a file's name.

    Raises:
        BadParameter: a key is unknown, missing, or stands twice, or a value cannot be; the message names the line.
    """
    findings = Findings(origin)
    try:
        section = read_node(node, findings, is_original=False)
    except BadParameter as error:
        raise BadParameter(f"{origin}: {error.message}") from error
    cluster_name = section.text("cluster_name")
    api_audiences = section.values("api_audiences", str)
    cases = tuple(_parse_case(each, has_name=cluster_name is not None) for each in section.sections("cases"))
    if not cases:
        section.add_problem("cases", "there is no case")
    section.close()
    findings.check()
    whole = tuple(each for each in cases if each is not None)
    return Suite(cluster_name or DEFAULT_CLUSTER, api_audiences or (DEFAULT_API_AUDIENCE,), whole)


def _parse_case(section: Section, *, has_name: bool) -> Case | None:
    name, expect = section.text("name"), section.value("expect", _parse_expectation)
    reason, by = section.text("reason"), section.values("by", str)
    given = _parse_given(section.section("given"), has_name=has_name)
    if name is None:
        section.add_problem("name", "is missing")
    if expect is None and "expect" not in section:
        section.add_problem("expect", "is missing; write admitted or refused")
    if expect is Expectation.ADMITTED and reason is not None:
        section.add_problem("reason", "goes with expect: refused")
    if expect is Expectation.REFUSED and by:
        section.add_problem("by", "goes with expect: admitted")
    if name is None or expect is None or given is None:
        return None
    return Case(name, given, expect, reason, by)


def _parse_given(section: Section, *, has_name: bool) -> Given | None:
    account = section.value("service_account", _parse_account)
    if account is None and "service_account" not in section:
        section.add_problem("service_account", "is missing; write namespace:name")
    audiences = section.values("audience", str)
    if audiences and not has_name:
        section.add_problem("audience", "needs cluster_name at the top of the document, to be compared with")
    given = Given(
        service_account=account or "",
        audiences=audiences,
        bound_to=section.value("bound_to", _parse_binding) or Binding.POD,
        life=section.duration("life", timedelta(seconds=1), MAX_LIFE) or DEFAULT_LIFE,
        issuer=section.text("issuer"),
        role=section.value("role", parse_role),
        address=section.value("address", _parse_address),
        token=section.text("token"),
        at=section.value("at", parse_time),
    )
    return given if account is not None else None


def _parse_expectation(text: str) -> Expectation:
    try:
        return Expectation(text)
    except ValueError as error:
        raise BadParameter("expected admitted or refused") from error


def _parse_binding(text: str) -> Binding:
    try:
        return Binding(text)
    except ValueError as error:
        raise BadParameter(f"expected one of {', '.join(Binding)}") from error


def _parse_account(text: str) -> str:
    parts = text.split(":")
    if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - namespace and name
        raise BadParameter("expected namespace:name")
    return text


def _parse_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise BadParameter("expected an IP address") from error
