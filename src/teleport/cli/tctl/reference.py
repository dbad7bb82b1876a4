"""How a person names resources: `kind`, or `kind/name`."""

from dataclasses import dataclass, field

from teleport.errors import BadParameter
from teleport.resources.codec import parse_kind
from teleport.resources.model import check_name


@dataclass(frozen=True, slots=True)
class Reference:
    """A kind by its canonical name, and the name that was typed; without a name all of the kind are meant."""

    kind: str
    name: str = field(default="", repr=False)


def parse_reference(text: str) -> Reference:
    """Read `kind` or `kind/name`; further slashes belong to the name.

    Raises:
        BadParameter: there is no such kind, or nothing stands behind the slash.
    """
    kind, slash, name = text.partition("/")
    if slash:
        check_name(name, f"the name of the {parse_kind(kind)}")
    return Reference(parse_kind(kind), name)


def parse_references(text: str) -> list[Reference]:
    """Read a comma-separated list of references.

    Raises:
        BadParameter: as `parse_reference`.
    """
    return [parse_reference(part) for part in text.split(",")]


def parse_one(text: str) -> Reference:
    """Read `kind/name`.

    Raises:
        BadParameter: as `parse_reference`, or there is no name.
    """
    reference = parse_reference(text)
    if not reference.name:
        raise BadParameter(f"say which {reference.kind}: {reference.kind}/NAME")
    return reference
