"""`tctl kube preflight`."""

import asyncio
import os
import socket
from pathlib import Path

import click

from teleport.auth.kubernetes import find_api_server
from teleport.auth.preflight.check import Plan
from teleport.auth.preflight.facts import KubeFacts, load_facts
from teleport.auth.preflight.report import PreflightReport, build_report
from teleport.auth.preflight.rights import list_rights
from teleport.cli.output import render_documents, render_json
from teleport.cli.params import format_option, parsed
from teleport.cli.tctl.preflight_text import render_report, to_plain
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.clock import Clock
from teleport.config.load import load_settings
from teleport.config.names import parse_nodename
from teleport.config.settings import AuthSettings
from teleport.config.source import load_source
from teleport.errors import BadParameter, NotFound
from teleport.kube.access import Verification
from teleport.kube.api_server import ApiServer
from teleport.kube.grants import parse_namespace

_OUTSIDE = (
    "this is no pod, and no configuration names an API server: run it in the auth server's pod, as with kubectl exec,"
    " or set auth_service.kubernetes.api_server, ca_file and token_file in the file of -c"
)


def _parse_namespaces(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(parse_namespace(value) for value in values)
    except BadParameter as error:
        raise click.BadParameter(error.message, ctx, param) from error


@click.command(
    "preflight",
    cls=TctlCommand,
    examples=[
        "kubectl --namespace=teleport exec deployment/teleport-auth -- tctl kube preflight",
        "tctl kube preflight --cluster-name=example.com --verify-pod --namespace=apps",
        "tctl -c /etc/teleport.yaml kube preflight --format=json",
    ],
)
@click.option("--cluster-name", callback=parsed(parse_nodename), help="By default as configured.")
@click.option(
    "--verification",
    type=click.Choice([each.value for each in Verification]),
    help="By default as configured, else tokenreview.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    callback=_parse_namespaces,
    help="Where the pods are; may be given several times. By default everywhere.",
)
@click.option("--verify-pod", is_flag=True, help="Require what tokens with verify_pod need.")
@click.option("--bind-to-pod", is_flag=True, help="Require what tokens with bind_to_pod need.")
@format_option("text", "json", "yaml")
@click.pass_context
def preflight(
    ctx: click.Context,
    /,
    *,
    cluster_name: str | None,
    verification: str | None,
    namespaces: tuple[str, ...],
    verify_pod: bool,
    bind_to_pod: bool,
    output_format: str,
) -> None:
    """Check what an auth server may ask of Kubernetes.

    Asks as the auth server would, with the same configuration and token; none needs to run. What is missing comes with
    the RBAC to add, and ends with exit status 1. Nothing is changed.
    """
    session = ctx.ensure_object(Session)
    settings = _load_auth_settings(session.flags.config)
    server = find_api_server(settings.kubernetes, os.environ)
    if server is None:
        raise NotFound(_OUTSIDE)
    wanted = {"verify_pod": verify_pod, "bind_to_pod": bind_to_pod}
    plan = Plan(
        verification=Verification(verification or settings.kubernetes.verification),
        cluster_name=cluster_name or settings.cluster_name or "",
        namespaces=namespaces,
        settings=frozenset(name for name, is_wanted in wanted.items() if is_wanted),
    )
    report = build_report(asyncio.run(_ask(server, plan, session.clock)), plan)
    _show(report, plan, output_format)
    ctx.exit(0 if report.is_ready else 1)


def _show(report: PreflightReport, plan: Plan, output_format: str) -> None:
    if output_format == "text":
        click.echo(render_report(report), nl=False)
    elif output_format == "json":
        click.echo(render_json(to_plain(report, plan)))
    else:
        click.echo(render_documents([to_plain(report, plan)]), nl=False)


def _load_auth_settings(named: str | None) -> AuthSettings:
    """Return the configuration of this host, or what holds without one."""
    if named == "":
        return AuthSettings()
    source = load_source(config=Path(named) if named else None, config_string=None, environ=os.environ)
    if source is None:
        return AuthSettings()
    return load_settings(source.text, hostname=socket.gethostname(), origin=source.origin).auth


async def _ask(server: ApiServer, plan: Plan, clock: Clock) -> KubeFacts:
    from teleport.kube.api import KubeApi  # noqa: PLC0415 - help does not wait for aiohttp

    api = KubeApi(server, clock=clock)
    try:
        return await load_facts(api, url=server.url, clock=clock, rights=list_rights(plan))
    finally:
        await api.close()
