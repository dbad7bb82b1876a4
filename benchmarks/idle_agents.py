"""Memory of an auth server to which thousands of agents are connected, each with a client certificate."""

import sys

import uvloop

from api_requests import join
from harness import auth_server, measure, report, rss_mib
from joins import create_token
from teleport.api.messages import TrustBundleRequest
from teleport.api.operations import TRUST_BUNDLE
from teleport.resources.role import SystemRole
from wire import Connection, build_context, build_request, connect

WARM_UP = 100


async def main(count: int) -> None:
    """Print the memory for a thousand agents, and in all."""
    with auth_server() as server:
        await create_token(server)
        joined = await join(server)
        context = build_context(joined.identity(SystemRole.INSTANCE))
        known = TrustBundleRequest(known_revision=joined.trust.revision)
        poll = build_request(TRUST_BUNDLE, known.model_dump_json().encode())
        connections: list[Connection] = []

        async def open_one(_: int) -> None:
            connection = await connect(server.address, context)
            await connection.ask(poll)
            connections.append(connection)

        await measure(server.pid, range(WARM_UP), open_one, workers=16)
        before = rss_mib(server.pid)
        await measure(server.pid, range(count - WARM_UP), open_one, workers=16)
        after = rss_mib(server.pid)
        report("memory for 1,000 connected idle agents", f"{(after - before) / (count - WARM_UP) * 1000:.1f} MiB")
        report(f"  auth server with {count} of them", f"{after:.0f} MiB")
        for connection in connections:
            connection.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
