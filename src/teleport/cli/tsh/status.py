"""`tsh status`."""

import click

from teleport.cli.console import FAILURE
from teleport.cli.output import render_json
from teleport.cli.params import format_option
from teleport.cli.tsh.profiles import load_profile, open_store
from teleport.cli.tsh.session import Session, TshCommand
from teleport.cli.tsh.status_text import describe_profile, render_profiles


@click.command("status", cls=TshCommand, examples=["tsh status", "tsh status --format=json"])
@format_option("text", "json")
@click.pass_obj
def status(session: Session, *, output_format: str) -> int:
    """Show who is logged in where, and until when.

    The exit status is 1 where nobody is logged in, or the active login has expired.
    """
    active = load_profile(session)
    now = session.clock.now()
    profiles = open_store(session).list_all()
    if output_format == "json":
        others = [describe_profile(profile, is_active=False) for profile in profiles if profile != active]
        click.echo(render_json({"active": describe_profile(active, is_active=True), "profiles": others}))
    else:
        click.echo(render_profiles(profiles, active, now), nl=False)
    if active.is_valid(now):
        return 0
    click.echo(f"ERROR: the active login has expired: log in with `tsh login --proxy={active.proxy}`", err=True)
    return FAILURE
