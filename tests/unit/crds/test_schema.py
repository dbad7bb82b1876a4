"""The definition of TeleportProvisionToken by itself; the integration tests try what an API server makes of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from support.declared import CRD_FILE, POLICY_FILE
from teleport.errors import BadParameter
from teleport.join.kubernetes.spec import KubernetesSpec, Oidc, OnReuse, ProofType, Rule, StaticJwks
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole, parse_role
from teleport.resources.token import METHODS_OF_THE_ORIGINAL, TokenLimits
from teleport_operator.conditions import Type
from teleport_operator.declaration import (
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    AdoptionPolicy,
    DeletionPolicy,
    DriftPolicy,
)
from teleport_operator.spec import DeclaredSpec, FromSecret, SecretSection

DEFINITION = yaml.safe_load(CRD_FILE.read_text())
(SERVED,) = DEFINITION["spec"]["versions"]
ROOT = SERVED["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]
STATUS = ROOT["properties"]["status"]
POLICY, BINDING = yaml.safe_load_all(POLICY_FILE.read_text())

ORIGINAL = {
    "": "allow aws_iid_ttl azure azure_devops bitbucket bot_name bound_keypair circleci gcp github gitlab join_method "
    "kubernetes oracle roles spacelift suggested_agent_matcher_labels suggested_labels terraform_cloud tpm",
    "allow[]": "aws_account aws_arn aws_regions aws_role",
    "azure.allow[]": "resource_groups subscription",
    "azure_devops": "organization_id allow",
    "azure_devops.allow[]": "definition_id pipeline_name project_id project_name repository_ref repository_uri "
    "repository_version sub",
    "bitbucket": "audience identity_provider_url allow",
    "bitbucket.allow[]": "branch_name deployment_environment_uuid repository_uuid workspace_uuid",
    "bound_keypair": "onboarding recovery rotate_after",
    "bound_keypair.onboarding": "initial_public_key must_register_before registration_secret",
    "bound_keypair.recovery": "limit mode",
    "circleci": "organization_id allow",
    "circleci.allow[]": "context_id project_id",
    "gcp.allow[]": "locations project_ids service_accounts",
    "github": "enterprise_server_host enterprise_slug static_jwks allow",
    "github.allow[]": "actor environment ref ref_type repository repository_owner sub workflow",
    "gitlab": "domain static_jwks allow",
    "gitlab.allow[]": "ci_config_ref_uri ci_config_sha deployment_tier environment environment_protected "
    "namespace_path pipeline_source project_path project_visibility ref ref_protected ref_type sub user_email user_id "
    "user_login",
    "kubernetes": "type allow static_jwks oidc",
    "kubernetes.allow[]": "service_account service_account_name service_account_namespace",
    "kubernetes.static_jwks": "jwks",
    "kubernetes.oidc": "issuer insecure_allow_http_issuer",
    "oracle.allow[]": "parent_compartments regions tenancy",
    "spacelift": "enable_glob_matching hostname allow",
    "spacelift.allow[]": "caller_id caller_type scope space_id",
    "terraform_cloud": "audience hostname allow",
    "terraform_cloud.allow[]": "organization_id organization_name project_id project_name run_phase workspace_id "
    "workspace_name",
    "tpm": "ekcert_allowed_cas allow",
    "tpm.allow[]": "description ek_certificate_serial ek_public_hash",
}
"""The fields of the original's spec, section by section."""


def find_section(path: str) -> dict[str, Any]:
    """Return the schema at a path below the spec; `[]` stands for the items of a list."""
    schema: dict[str, Any] = SPEC
    for part in path.split(".") if path else []:
        schema = schema["properties"][part.removesuffix("[]")]
        schema = schema["items"] if part.endswith("[]") else schema
    return schema


def walk(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every schema with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


def list_fields(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def test_the_names_are_the_original_s() -> None:
    spec = DEFINITION["spec"]
    assert DEFINITION["metadata"]["name"] == f"{PLURAL}.{GROUP}"
    assert (spec["group"], SERVED["name"], spec["scope"]) == (GROUP, VERSION, "Namespaced")
    assert (spec["names"]["kind"], spec["names"]["plural"]) == (KIND, PLURAL)
    assert spec["names"]["shortNames"] == ["provisiontoken", "provisiontokens"]
    assert SERVED["subresources"] == {"status": {}}


@pytest.mark.parametrize("path", ORIGINAL)
def test_every_field_of_the_original_is_known(path: str) -> None:
    assert set(ORIGINAL[path].split()) <= find_section(path)["properties"].keys()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("", DeclaredSpec),
        ("kubernetes", KubernetesSpec),
        ("kubernetes.allow[]", Rule),
        ("kubernetes.static_jwks", StaticJwks),
        ("kubernetes.oidc", Oidc),
        ("limits", TokenLimits),
        ("secret", SecretSection),
        ("secret.fromSecret", FromSecret),
    ],
)
def test_schema_and_reader_know_the_same_fields(path: str, model: type[BaseModel]) -> None:
    assert find_section(path)["properties"].keys() == list_fields(model)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("join_method", {"", *METHODS_OF_THE_ORIGINAL}),
        ("kubernetes.type", {"", *ProofType}),
        ("kubernetes.on_token_reuse", {"", *OnReuse}),
        ("deletionPolicy", {*DeletionPolicy}),
        ("driftPolicy", {*DriftPolicy}),
        ("adoptionPolicy", {*AdoptionPolicy}),
    ],
)
def test_schema_and_reader_know_the_same_values(path: str, values: set[str]) -> None:
    assert set(find_section(path)["enum"]) == values


def test_every_role_that_the_schema_knows_is_one_and_every_service_s_is_known() -> None:
    pattern = find_section("roles[]")["pattern"]
    spellings = re.fullmatch(r"\^\(\?i:(.*)\)\$", pattern)
    assert spellings is not None
    roles = {parse_role(spelling) for spelling in spellings[1].split("|")}
    assert roles >= LOCAL_SERVICE_ROLES | {SystemRole.BOT}
    with pytest.raises(BadParameter):
        parse_role("nodee")


def test_unknown_fields_survive_on_every_level() -> None:
    pruned = {
        path
        for path, schema in walk(ROOT)
        if schema["type"] == "object"
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    }
    assert pruned == {".metadata", ".status.conditions[]"}


def test_an_invalid_object_can_be_released_and_deleted() -> None:
    assert "required" not in ROOT
    for rule in ROOT["x-kubernetes-validations"]:
        assert rule["optionalOldSelf"] is True
        assert "oldSelf.hasValue()" in rule["rule"]


def test_everything_that_people_write_is_bounded() -> None:
    for path, schema in walk(SPEC):
        bound = {"string": ("maxLength", "enum"), "array": ("maxItems",)}.get(schema["type"], ())
        assert not bound or schema.get("format") == "date-time" or any(key in schema for key in bound), path


def test_all_conditions_find_room() -> None:
    conditions = STATUS["properties"]["conditions"]
    assert conditions["maxItems"] >= len(Type)
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    assert conditions["items"]["x-kubernetes-map-type"] == "atomic"


def test_the_columns_tell_how_it_is() -> None:
    columns = {column["name"]: column.get("priority", 0) for column in SERVED["additionalPrinterColumns"]}
    assert [name for name, priority in columns.items() if priority == 0] == [
        "Method",
        "Roles",
        "Active",
        "Expires",
        "Age",
    ]
    assert [name for name, priority in columns.items() if priority == 1] == ["Joins", "Last Join", "Secret"]


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("inSpec", ""),
        ("inKubernetes", "kubernetes"),
        ("inRules", "kubernetes.allow[]"),
        ("inJwks", "kubernetes.static_jwks"),
        ("inOidc", "kubernetes.oidc"),
        ("inLimits", "limits"),
        ("inSecret", "secret"),
        ("inFromSecret", "secret.fromSecret"),
    ],
)
def test_the_policy_knows_the_fields_of_the_schema(variable: str, path: str) -> None:
    expressions = {entry["name"]: entry["expression"] for entry in POLICY["spec"]["variables"]}
    listed = re.search(r"in \[(.*?)\]", expressions[variable])
    assert listed is not None
    assert set(re.findall(r"'([^']+)'", listed[1])) == find_section(path)["properties"].keys()
    assert variable in expressions["unknown"]


def test_the_binding_is_the_policy_s() -> None:
    assert BINDING["spec"] == {"policyName": POLICY["metadata"]["name"], "validationActions": ["Deny"]}
