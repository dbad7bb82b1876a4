"""`tsh apps login`."""

import click

from teleport.cli.tsh.application import TCP, choose_application, load_applications, render_curl
from teleport.cli.tsh.cluster import ask
from teleport.cli.tsh.profiles import load_profile, open_store
from teleport.cli.tsh.session import Session, TshCommand


@click.command("login", cls=TshCommand, examples=["tsh apps login grafana"])
@click.argument("app")
@click.pass_obj
def login(session: Session, *, app: str) -> None:
    """Write what other programs need to open an application, and show how curl does it.

    It is good for as long as the login is.
    """
    application = choose_application(ask(session, load_applications), app)
    profile, store = load_profile(session), open_store(session)
    if application.kind == TCP:
        click.echo(f"{app} speaks TCP. Open a port of this machine that leads there:\n\n  tsh proxy app {app}")
        return
    store.apps.store(profile, app)
    pem, _ = store.apps.find(profile.address, app)
    curl = render_curl(application, profile, pem, is_insecure=session.insecure)
    click.echo(f"Logged into app {app}. Example curl command:\n\n{curl}")
