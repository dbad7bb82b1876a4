"""The pages behind the links of invitations and resets: a password is chosen, and a second factor added."""

from http import HTTPStatus

import segno

from teleport.api.operations import INVITE_ACCEPT, INVITE_SHOW
from teleport.api.people import InviteAcceptRequest, InviteShowRequest, InviteShowResponse
from teleport.errors import AccessDenied, BadParameter, NotFound
from teleport.proxy.pages.cookies import SESSION, build_cookie
from teleport.proxy.pages.destinations import APPS
from teleport.proxy.pages.fields import build_request, read_code
from teleport.proxy.pages.forgery import accept_form, begin_form
from teleport.proxy.pages.rendering import Pages, redirect
from teleport.proxy.pages.visitors import Auth
from teleport.web.call import Call, Reply

_FIELDS = frozenset({"token", "user", "password", "repeated", "code"})
_GROUP = 4
_MASK = 3
"""Diagonals (ISO/IEC 18004, 7.8.2), which break up the pattern of text as well as any."""


class Invitations:
    """The handlers.

    Args:
        auth: decides.
        pages: says so.
    """

    def __init__(self, *, auth: Auth, pages: Pages) -> None:
        self._auth = auth
        self._pages = pages

    async def show(self, call: Call) -> Reply:
        """Show the form.

        Raises:
            NotFound: the link is not good, or not any more.
        """
        return self._render(call, await self._find(call))

    async def accept(self, call: Call) -> Reply:
        """Set password and second factor, and sign in; who has mistyped something finds the form again.

        Raises:
            AccessDenied: the form is not from here.
            BadParameter: it is malformed.
            NotFound: the link is not good, or not any more.
        """
        fields = accept_form(call, _FIELDS)
        if fields["password"] != fields["repeated"]:
            return self._render(call, await self._find(call), problem="the two passwords differ")
        try:
            request = build_request(
                InviteAcceptRequest,
                invite_id=call.parameter,
                password=fields["password"],
                code=read_code(fields["code"]),
                remote_addr=call.peer.remote_addr,
            )
            session = await self._auth.call(INVITE_ACCEPT, request)
        except (AccessDenied, BadParameter) as error:
            return self._render(call, await self._find(call), problem=error.message)
        except NotFound as error:
            raise _build_refusal() from error
        return redirect(APPS, build_cookie(SESSION, session.session_id))

    async def _find(self, call: Call) -> InviteShowResponse:
        try:
            return await self._auth.call(INVITE_SHOW, build_request(InviteShowRequest, invite_id=call.parameter))
        except NotFound as error:
            raise _build_refusal() from error

    def _render(self, call: Call, invite: InviteShowResponse, *, problem: str = "") -> Reply:
        token, headers = begin_form(call.head)
        return self._pages.render(
            "invitation",
            status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
            headers=headers,
            token=token,
            invite=invite,
            path=call.head.path,
            picture=render_picture(invite.otpauth_uri),
            secret=" ".join(_split(invite.totp_secret)),
            problem=problem,
        )


def render_picture(uri: str) -> str:
    """Return the QR code of a URI as SVG: dark on light in any colour scheme, since cameras want it so.

    A screen is not damaged, so that little correction is needed; to try all masks would hold everybody up for 10 ms.
    """
    code = segno.make_qr(uri, error="l", boost_error=False, mask=_MASK)
    return code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="picture", lineclass=None)


def _split(secret: str) -> list[str]:
    return [secret[start : start + _GROUP] for start in range(0, len(secret), _GROUP)]


def _build_refusal() -> NotFound:
    return NotFound("this link was used already, or its time is over; ask your administrator for another one")
