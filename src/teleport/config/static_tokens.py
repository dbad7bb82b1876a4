"""Static tokens: join tokens that stand in the auth server's configuration and never expire."""

from teleport.config.settings import StaticToken
from teleport.config.value_file import Warn, is_file_reference, load_lines
from teleport.errors import BadParameter
from teleport.resources.model import check_name
from teleport.resources.role import SystemRole, parse_roles
from teleport.resources.token import MIN_SECRET_LENGTH, SAFE_SECRET_LENGTH

_WHAT = "a static token"


def load_static_tokens(entry: str, *, warn: Warn) -> tuple[StaticToken, ...]:
    """Read `roles:value`, where the value may be an absolute path to a file with one token a line.

    Only the first colon separates, since a token may hold further ones. How long a token is, is judged by
    `check_static_tokens`.

    Raises:
        BadParameter: no roles, no value, role bot, or a file that may not be read.
        NotFound: the file does not exist.
    """
    roles_text, colon, value = entry.partition(":")
    if not colon or not value.strip():
        raise BadParameter("a static token is written roles:token, for example node,app:TOKEN")
    roles = parse_roles(roles_text)
    if SystemRole.BOT in roles:
        raise BadParameter("a static token cannot admit bots; make one with: tctl tokens add --type=bot")
    values = load_lines(value, what=_WHAT, warn=warn) if is_file_reference(value) else (value.strip(),)
    for text in values:
        check_name(text, _WHAT)
    return tuple(StaticToken(roles=roles, token=text) for text in values)


def check_static_tokens(tokens: tuple[StaticToken, ...], *, warn: Warn) -> None:
    """Refuse tokens that are easy to guess, and one that stands twice and so would mean two things.

    Raises:
        BadParameter: a token is too short, or given twice.
    """
    seen: set[str] = set()
    for token in tokens:
        roles = ",".join(role.lower() for role in token.roles)
        if len(token.token) < MIN_SECRET_LENGTH:
            raise BadParameter(
                f"the token for {roles} is shorter than {MIN_SECRET_LENGTH} characters; use a random one"
            )
        if len(token.token) < SAFE_SECRET_LENGTH:
            warn(f"the token for {roles} is shorter than {SAFE_SECRET_LENGTH} characters and may be guessed")
        if token.token in seen:
            raise BadParameter(f"the token for {roles} is given twice")
        seen.add(token.token)
