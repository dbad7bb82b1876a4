"""Whether a refused caller can tell from the time why it was refused: each kind of refusal against an unknown token.

Requests of all kinds are sent in turn over one connection, so that noise falls on all of them alike; the figure is the
ratio of the medians.
"""

import asyncio
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta

import uvloop

from harness import auth_server, report
from joins import TOKEN, create_token
from teleport.api.joined import generate_keys
from teleport.api.messages import JoinRequest
from teleport.api.operations import JOIN
from wire import build_context, build_request, connect

EXPIRED = "expired-token-of-32-characters--"
WARM_UP = 100


def build_refused(token: str, role: str = "Node") -> bytes:
    """Return a join request that will be refused."""
    request = JoinRequest(
        token_name=token, role=role, node_name="guess", keys=generate_keys().build_public_keys("guess")
    )
    return build_request(JOIN, request.model_dump_json().encode())


async def main(count: int) -> None:
    """Print the ratio of answer times."""
    with auth_server() as server:
        await create_token(server)
        soon = datetime.now(UTC) + timedelta(seconds=1)
        await create_token(server, EXPIRED, expires=soon.isoformat())
        await asyncio.sleep(3)
        kinds = {
            "unknown": build_refused("unknown-token-of-32-characters--"),
            "with the prefix of a real one": build_refused(TOKEN[:-1] + "x"),
            "expired": build_refused(EXPIRED),
            "of a role that is not granted": build_refused(TOKEN, role="Proxy"),
        }
        times: dict[str, list[float]] = {name: [] for name in kinds}
        connection = await connect(server.address, build_context(None))
        for turn in range(count + WARM_UP):
            for name, request in kinds.items():
                start = time.perf_counter()
                status, body = await connection.ask(request)
                if status != 403:
                    raise SystemExit(f"the server answered {status}: {body!r}")
                if turn >= WARM_UP:
                    times[name].append(time.perf_counter() - start)
        connection.close()
    reference = statistics.median(times.pop("unknown"))
    for name, measured in times.items():
        report(f"refusal time, token {name}", f"x{statistics.median(measured) / reference:.3f}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2500))
