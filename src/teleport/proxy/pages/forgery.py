"""Keeps other sites from acting as the person whose browser shows them (CSRF), by two checks that stand alone."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from teleport.errors import AccessDenied
from teleport.pki.base64url import encode_base64url
from teleport.proxy.pages.cookies import FORM, build_cookie, read_secret
from teleport.proxy.pages.forms import parse_form
from teleport.web.call import Call, RequestHead

_PURPOSE = b"teleport: token of a form, 1"
_FOREIGN = "this came from another site, so nothing was done"


def begin_form(head: RequestHead) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the token for a form that is shown to a browser, and the header that gives it a cookie if it has none."""
    secret = read_secret(head, FORM)
    if secret:
        return build_form_token(secret), ()
    secret = secrets.token_urlsafe(32)
    return build_form_token(secret), (build_cookie(FORM, secret),)


def accept_form(call: Call, fields: frozenset[str]) -> Mapping[str, str]:
    """Return the values of a form that was shown to this browser.

    Args:
        call: with the form.
        fields: its names, `token` among them.

    Raises:
        AccessDenied: it was sent by another page, or was shown to another browser.
        BadParameter: it is malformed.
    """
    check_own_origin(call.head, is_form=True)
    values = parse_form(call.body, fields)
    check_form_token(read_secret(call.head, FORM), values["token"])
    return values


def check_own_origin(head: RequestHead, *, is_form: bool) -> None:
    """Refuse what a page of another origin sends; a browser says where a request is from, and no script can change it.

    `Sec-Fetch-Site` is the word of every present browser (W3C Fetch Metadata, 2.3). `Origin` is that of older ones; it
    is `null` in a form that a page sent whose `Referrer-Policy` is `no-referrer`, as ours is (WHATWG Fetch, 3.2).

    Args:
        head: of the request.
        is_form: browsers send it, without asking first, so that one of the two must be there.

    Raises:
        AccessDenied: it is from elsewhere, or does not say from where.
    """
    site, origin = head.fields.get("sec-fetch-site"), head.fields.get("origin")
    if origin not in (None, "null", f"https://{_find_authority(head)}"):
        raise AccessDenied(_FOREIGN)
    if site not in (None, "same-origin"):
        raise AccessDenied(_FOREIGN)
    if site is None and (origin == "null" or (is_form and origin is None)):
        raise AccessDenied("the browser does not say which page this came from; a newer one does")


def _find_authority(head: RequestHead) -> str:
    """Return host and port as an origin has them: without the port that `https` means anyway (RFC 6454, 6.2)."""
    return head.fields.get("host", "").strip().lower().removesuffix(":443")


def build_form_token(secret: str) -> str:
    """Return what a form must bring that was made for whoever has the cookie with this secret."""
    return encode_base64url(hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256))


def check_form_token(secret: str, token: str) -> None:
    """Refuse a form that was not made for this browser.

    Args:
        secret: of the cookie; none, if the browser sent none.
        token: from the form.

    Raises:
        AccessDenied: they do not belong together.
    """
    if not secret or not hmac.compare_digest(build_form_token(secret).encode(), token.encode()):
        raise AccessDenied("the form is out of date; open the page again and fill it in once more")
