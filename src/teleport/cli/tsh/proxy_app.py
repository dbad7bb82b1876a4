"""`tsh proxy app`."""

import asyncio

import click

from teleport.cli.tsh.application import choose_application, load_applications
from teleport.cli.tsh.cluster import ask
from teleport.cli.tsh.local_proxy import LocalProxy
from teleport.cli.tsh.profiles import load_profile
from teleport.cli.tsh.session import Session, TshCommand
from teleport.resources.address import MAX_PORT


@click.command("app", cls=TshCommand, examples=["tsh proxy app grafana -p 8080"])
@click.argument("app")
@click.option("-p", "--port", type=click.IntRange(0, MAX_PORT), default=0, help="Of this machine; by default any.")
@click.pass_obj
def proxy_app(session: Session, *, app: str, port: int) -> None:
    """Open a port of this machine that leads to an application, until Ctrl-C.

    Whoever may connect to 127.0.0.1 here opens the application as you; web pages of other origins are refused.
    """
    profile = load_profile(session)
    application = choose_application(ask(session, load_applications), app)
    local = LocalProxy(application, profile, clock=session.clock, is_insecure=session.insecure)

    async def serve() -> None:
        address = await local.start(port)
        click.echo(f"Proxying connections to {app} on {address}")
        await local.serve()

    asyncio.run(serve())
