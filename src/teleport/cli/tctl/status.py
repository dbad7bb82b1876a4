"""`tctl status`."""

from dataclasses import dataclass
from typing import Any

import click

from teleport.api.messages import PingResponse
from teleport.cli.output import render_json, render_pairs
from teleport.cli.params import format_option
from teleport.cli.tctl.authority_text import describe_rotation
from teleport.cli.tctl.cluster import ApiClient, ask, build_ca_pins, get_trust_bundle, list_authorities, ping
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.resources.authority import AuthorityType, CertAuthority
from teleport.resources.strict_yaml import render_yaml


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """What there is to say about the cluster as a whole."""

    ping: PingResponse
    authorities: dict[AuthorityType, CertAuthority]
    ca_pins: tuple[str, ...]


@click.command("status", cls=TctlCommand, examples=["tctl status", "tctl status --format=json"])
@format_option("text", "json", "yaml")
@click.pass_obj
def status(session: Session, *, output_format: str) -> None:
    """Show the cluster's version, its authorities and its CA pins.

    Services that join by talking to the auth server directly need the CA pins, all of them.
    """
    found = ask(session, _load)
    if output_format == "text":
        click.echo(render_pairs(_build_pairs(found)), nl=False)
    elif output_format == "json":
        click.echo(render_json(_to_plain(found)))
    else:
        click.echo(render_yaml(_to_plain(found)), nl=False)


async def _load(client: ApiClient) -> ClusterStatus:
    return ClusterStatus(
        ping=await ping(client),
        authorities=await list_authorities(client),
        ca_pins=build_ca_pins(await get_trust_bundle(client)),
    )


def _build_pairs(found: ClusterStatus) -> list[tuple[str, str]]:
    return [
        ("Cluster", found.ping.cluster_name),
        ("Version", found.ping.server_version),
        *((f"{authority.type} CA", describe_rotation(authority)) for authority in _in_order(found)),
        *(("CA pin", pin) for pin in found.ca_pins),
    ]


def _in_order(found: ClusterStatus) -> list[CertAuthority]:
    """Return the authorities in the order of their types' declaration, which is that of the original."""
    return [found.authorities[kind] for kind in AuthorityType if kind in found.authorities]


def _to_plain(found: ClusterStatus) -> dict[str, Any]:
    return {
        "cluster": found.ping.cluster_name,
        "version": found.ping.server_version,
        "authorities": [
            {"type": authority.type.value, **authority.spec.rotation.model_dump(mode="json", exclude_none=True)}
            for authority in _in_order(found)
        ],
        "ca_pins": list(found.ca_pins),
    }
