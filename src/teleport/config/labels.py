"""Labels as flags write them: `env=prod,team=core`."""

from teleport.errors import BadParameter
from teleport.resources.model import check_labels

MAX_LENGTH = 64 * 1024


def parse_labels(text: str) -> dict[str, str]:
    """Read `k=v,k2=v2`; blanks around keys and values are dropped, and a value may hold further `=`.

    Raises:
        BadParameter: a part is no pair, a key is empty or stands twice, or a bound of labels is exceeded.
    """
    if len(text) > MAX_LENGTH:
        raise BadParameter(f"labels are longer than {MAX_LENGTH} characters")
    labels: dict[str, str] = {}
    for part in text.split(",") if text.strip() else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key or not equals:
            raise BadParameter(f"{part.strip()[:64]!r} is not a label; write labels like env=prod,team=core")
        if key in labels:
            raise BadParameter(f"label {key[:64]!r} is given twice")
        labels[key] = value
    check_labels(labels, "labels")
    return labels


def render_labels(labels: dict[str, str]) -> str:
    """Write labels as `parse_labels` reads them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())
