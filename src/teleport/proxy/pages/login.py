"""Signing in and out by the pages."""

from http import HTTPStatus

from teleport.api.operations import LOGIN_WEB, SESSION_END
from teleport.api.people import LoginRequest, SessionRequest
from teleport.errors import AccessDenied
from teleport.proxy.pages.cookies import SESSION, build_cookie, build_removal, read_secret
from teleport.proxy.pages.destinations import APPS, LOGIN, find_destination
from teleport.proxy.pages.fields import build_request, read_code
from teleport.proxy.pages.forgery import accept_form, begin_form, check_form_token, check_own_origin
from teleport.proxy.pages.forms import parse_form
from teleport.proxy.pages.rendering import Pages, redirect
from teleport.proxy.pages.visitors import Auth, find_visitor
from teleport.web.call import Call, Reply

_FIELDS = frozenset({"token", "next", "user", "password", "code"})


class Login:
    """The handlers.

    Args:
        auth: decides.
        pages: says so.
    """

    def __init__(self, *, auth: Auth, pages: Pages) -> None:
        self._auth = auth
        self._pages = pages

    async def show(self, call: Call) -> Reply:
        """Show the form, or go on where one is signed in already."""
        destination = find_destination(call.head.query.get("next", ""))
        if await find_visitor(self._auth, call.head) is not None:
            return redirect(destination, status=HTTPStatus.FOUND)
        return self._render(call, destination)

    async def sign_in(self, call: Call) -> Reply:
        """Begin a session; who is refused finds the form again, and in it all but the secrets.

        Raises:
            AccessDenied: the form is not from here.
            BadParameter: it is malformed.
        """
        fields = accept_form(call, _FIELDS)
        destination = find_destination(fields["next"])
        request = build_request(
            LoginRequest,
            user=fields["user"],
            password=fields["password"],
            code=read_code(fields["code"]),
            remote_addr=call.peer.remote_addr,
        )
        try:
            session = await self._auth.call(LOGIN_WEB, request)
        except AccessDenied as error:
            return self._render(call, destination, user=fields["user"], problem=error.message)
        return self._go_on(destination, build_cookie(SESSION, session.session_id))

    async def sign_out(self, call: Call) -> Reply:
        """End the session, here and in auth.

        Raises:
            AccessDenied: the form is not from here, or not of this session.
        """
        check_own_origin(call.head, is_form=True)
        fields = parse_form(call.body, frozenset({"token"}))
        session_id = read_secret(call.head, SESSION)
        if session_id:
            check_form_token(session_id, fields["token"])
            await self._auth.call(SESSION_END, SessionRequest(session_id=session_id))
        return redirect(LOGIN, build_removal(SESSION))

    def _render(self, call: Call, destination: str, *, user: str = "", problem: str = "") -> Reply:
        token, headers = begin_form(call.head)
        return self._pages.render(
            "login",
            status=HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK,
            headers=headers,
            token=token,
            next=destination,
            user=user,
            problem=problem,
        )

    def _go_on(self, destination: str, cookie: tuple[str, str]) -> Reply:
        if destination == APPS:
            return redirect(destination, cookie)
        # The way to an application leaves this site, where no answer to a form may lead (`form-action`).
        return self._pages.render("going_on", headers=(cookie,), destination=destination)
