"""`tsh logout`."""

import click

from teleport.cli.escaping import escape
from teleport.cli.tsh.profiles import load_profile, open_store
from teleport.cli.tsh.session import Session, TshCommand


@click.command("logout", cls=TshCommand, examples=["tsh logout", "tsh logout --proxy=teleport.example.com"])
@click.pass_obj
def logout(session: Session) -> None:
    """Delete the certificates of all logins, or of the login at one proxy.

    What was deleted here is deleted nowhere else: copies of a certificate are good until it expires.
    """
    store = open_store(session)
    if session.proxy or session.user:
        profile = load_profile(session)
        store.remove(profile.address)
        click.echo(f"Logged out {escape(profile.user)} from {profile.proxy}.")
        return
    store.remove_all()
    click.echo("Logged out all users from all proxies.")
