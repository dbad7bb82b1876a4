"""How heartbeat records are shown."""

from collections.abc import Sequence

from teleport.cli.output import fit_rows, render_table
from teleport.cli.searching import join_labels
from teleport.resources.presence import Server

HEADER = ("Host", "UUID", "Public Address", "Labels", "Version")
LABELS = 3


def render_servers(servers: Sequence[Server], *, width: int | None) -> str:
    """Return the table of servers, its cells cut to a terminal's width if one is given."""
    rows = [_build_row(server) for server in servers]
    return render_table(HEADER, rows if width is None else fit_rows(HEADER, rows, cut=LABELS, width=width))


def _build_row(server: Server) -> Sequence[str]:
    spec = server.spec
    return (spec.hostname, server.name, spec.public_addr, join_labels(server.all_labels), spec.version)
