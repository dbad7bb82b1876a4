"""`tsh apps config`."""

from collections.abc import Sequence
from typing import Any

import click

from teleport.cli.output import render_documents, render_json, render_pairs
from teleport.cli.params import format_option
from teleport.cli.tsh.application import choose_application, load_applications, render_curl
from teleport.cli.tsh.cluster import ask
from teleport.cli.tsh.profiles import load_profile, open_store
from teleport.cli.tsh.session import Session, TshCommand
from teleport.errors import BadParameter, NotFound


@click.command(
    "config",
    cls=TshCommand,
    examples=["tsh apps config", "tsh apps config grafana --format=curl", "tsh apps config grafana --format=uri"],
)
@click.argument("app", default="")
@format_option("text", "uri", "ca", "cert", "key", "curl", "json", "yaml")
@click.pass_obj
def config(session: Session, *, app: str, output_format: str) -> None:
    """Show what other programs need to open an application into which you have logged."""
    profile, store = load_profile(session), open_store(session)
    name = choose_name(store.apps.list_names(profile.address), app)
    application = choose_application(ask(session, load_applications), name)
    pem, authorities = store.apps.find(profile.address, name)
    facts = {
        "name": name,
        "uri": application.url,
        "ca": str(authorities),
        "cert": str(pem),
        "key": str(pem),
        "curl": render_curl(application, profile, pem, is_insecure=session.insecure),
    }
    click.echo(render_facts(facts, output_format), nl=False)


def choose_name(logged_in: Sequence[str], app: str) -> str:
    """Return the application that is meant: the named one, or the only one.

    Raises:
        NotFound: nobody has logged into it.
        BadParameter: there are several, and none is named.
    """
    if app in logged_in:
        return app
    if app or not logged_in:
        raise NotFound(f"not logged into app {app or 'of any name'}: `tsh apps login {app or 'APP'}` does that")
    if len(logged_in) > 1:
        raise BadParameter(f"logged into several apps, name one: {', '.join(logged_in)}")
    return logged_in[0]


def render_facts(facts: dict[str, Any], output_format: str) -> str:
    """Return one of the facts, or all of them."""
    if output_format in facts:
        return f"{facts[output_format]}\n"
    if output_format == "json":
        return render_json(facts) + "\n"
    if output_format == "yaml":
        return render_documents([facts])
    titles = {"name": "Name:", "uri": "URI:", "ca": "CA:", "cert": "Cert:", "key": "Key:"}
    return render_pairs([(title, facts[name]) for name, title in titles.items()])
