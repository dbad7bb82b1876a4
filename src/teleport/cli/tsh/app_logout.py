"""`tsh apps logout`."""

import click

from teleport.cli.tsh.profiles import load_profile, open_store
from teleport.cli.tsh.session import Session, TshCommand
from teleport.errors import NotFound


@click.command("logout", cls=TshCommand, examples=["tsh apps logout", "tsh apps logout grafana"])
@click.argument("app", default="")
@click.pass_obj
def logout(session: Session, *, app: str) -> None:
    """Delete what `tsh apps login` has written, for one application or for all."""
    profile, store = load_profile(session), open_store(session)
    names = [app] if app else store.apps.list_names(profile.address)
    removed = [name for name in names if store.apps.remove(profile.address, name)]
    if not removed:
        raise NotFound(f"not logged into app {app}" if app else "not logged into any app")
    click.echo(f"Logged out of app {removed[0]}" if app else "Logged out of all apps")
