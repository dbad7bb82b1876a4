"""Writes the generated parts of the pages in docs/reference, or checks that they are as the code has them now.

A page marks such a part with `<!-- generated: NAME -->` and `<!-- end -->`; what stands around it is written by hand.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from prometheus_client import CollectorRegistry

from teleport.api.operations import OPERATIONS
from teleport.cli.tctl.main import tctl
from teleport.cli.teleport.main import teleport
from teleport.cli.tsh.main import tsh
from teleport.config.unimplemented import IGNORED, REFUSED
from teleport.web.errors import STATUS_BY_CODE
from teleport.web.metrics import Metrics

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
DEFINITION = ROOT / "crds" / "resources.teleport.dev_teleportprovisiontokens.yaml"
WIDTH = 100
_SUFFIXES = {"counter": "_total"}
"""What the name of a metric of a type ends with where it is read."""
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z_]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def render_commands(program: click.Group) -> str:
    """Return the help of a program and of each of its commands."""
    sections = (
        f"## {context.command_path}\n\n```text\n{context.get_help().rstrip()}\n```\n" for context in _walk(program)
    )
    return "\n".join(sections)


def _walk(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    context = click.Context(command, info_name=command.name, parent=parent, terminal_width=WIDTH)
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _walk(child, context)


def render_operations() -> str:
    """Return the table of what may be asked of auth."""
    rows = (
        (
            f"`{operation.method} {operation.path}`",
            f"`{operation.request.__name__}`",
            f"`{operation.response.__name__}`",
            f"{operation.verb} {operation.kind or 'the kind in the body'}",
            "yes" if operation.anonymous else "no",
            operation.summary,
        )
        for operation in OPERATIONS
    )
    return _table(("Operation", "Request", "Answer", "Permission", "Without a certificate", "What for"), rows)


def render_statuses() -> str:
    """Return the table from error codes to HTTP statuses."""
    rows = ((f"`{code}`", f"{status.value} {status.phrase}") for code, status in STATUS_BY_CODE.items())
    return _table(("Code", "Status"), rows)


def render_metrics() -> str:
    """Return the table of a process's metrics, without those that Prometheus clients have of every process."""
    registry = CollectorRegistry()
    Metrics(registry)
    metrics = sorted(registry.collect(), key=lambda metric: metric.name)
    own = (metric for metric in metrics if not metric.name.startswith("process_") or metric.name == "process_state")
    rows = ((f"`{metric.name}{_SUFFIXES.get(metric.type, '')}`", metric.type, metric.documentation) for metric in own)
    return _table(("Metric", "Type", "Meaning"), rows)


def render_refused_keys() -> str:
    """Return the table of keys that are refused, with the reason."""
    rows = ((f"`{section}.{key}`", reason) for section, keys in REFUSED.items() for key, reason in keys.items())
    return _table(("Key", "Why it is refused"), rows)


def render_ignored_keys() -> str:
    """Return the table of keys that are warned of."""
    rows = (
        (f"`{section}`" if section else "top level", ", ".join(f"`{key}`" for key in sorted(keys)))
        for section, keys in IGNORED.items()
    )
    return _table(("Section", "Keys that have no effect here"), rows)


def render_object_fields(part: str) -> str:
    """Return the table of the described fields of a TeleportProvisionToken's spec or status."""
    (version,) = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"][part]
    return _table(("Field", "Type", "Meaning"), _list_fields(schema, ""))


def _list_fields(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        items = field.get("items", {})
        if "description" in field:
            yield f"`{prefix}{name}`", _describe_type(field), field["description"].replace("|", "\\|")
            yield from _list_fields(field, f"{prefix}{name}.")
            yield from _list_fields(items, f"{prefix}{name}[].")


def _describe_type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"] if value)
    if field["type"] == "array":
        return f"list of {field['items']['type']}s"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


PARTS: dict[str, Callable[[], str]] = {
    "tctl": lambda: render_commands(tctl),
    "teleport": lambda: render_commands(teleport),
    "tsh": lambda: render_commands(tsh),
    "operations": render_operations,
    "statuses": render_statuses,
    "metrics": render_metrics,
    "refused_keys": render_refused_keys,
    "ignored_keys": render_ignored_keys,
    "object_spec": lambda: render_object_fields("spec"),
    "object_status": lambda: render_object_fields("status"),
}


def build_page(text: str) -> str:
    """Return the page with its generated parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}{part['end']}", text)


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` tell which ones are out of date; return the exit status."""
    outdated = [page for page in sorted(PAGES.glob("*.md")) if build_page(page.read_text()) != page.read_text()]
    for page in outdated:
        if "--check" in arguments:
            print(f"{page.name} is not what the code says; run: make generate")
        else:
            page.write_text(build_page(page.read_text()))
            print(f"wrote {page.name}")
    return 1 if outdated and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
