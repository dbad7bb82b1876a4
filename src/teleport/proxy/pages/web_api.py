"""What the pages do, as JSON for programs: the same session, the same answers, errors as everywhere else."""

import ssl
from http import HTTPStatus

import orjson
from pydantic import ValidationError

from teleport.api.operations import APPS_LIST, LOGIN_WEB, SESSION_END
from teleport.api.people import AppInfo, AppsListRequest, Code, LoginRequest, Password, SessionRequest, UserName
from teleport.errors import BadParameter, Unauthenticated
from teleport.proxy.pages.applications import Launcher
from teleport.proxy.pages.cookies import SESSION, build_cookie, build_removal, read_secret
from teleport.proxy.pages.forgery import check_own_origin
from teleport.proxy.pages.rendering import HARDENING
from teleport.proxy.pages.visitors import Auth
from teleport.resources.model import Model
from teleport.web.call import Call, Reply


class SignIn(Model):
    """What begins a session."""

    user: UserName
    password: Password
    code: Code


class WebApi:
    """The handlers.

    Args:
        auth: decides.
        launcher: knows where applications are.
    """

    def __init__(self, *, auth: Auth, launcher: Launcher) -> None:
        self._auth = auth
        self._launcher = launcher

    async def sign_in(self, call: Call) -> Reply:
        """Begin a session, whose cookie comes with the answer.

        Raises:
            AccessDenied: auth says so, or another site asks.
            BadParameter: the body is malformed.
        """
        check_own_origin(call.head, is_form=False)
        try:
            asked = SignIn.model_validate_json(call.body)
        except ValidationError:
            raise BadParameter('the body is {"user": "...", "password": "...", "code": "..."}') from None
        request = LoginRequest(**asked.model_dump(), remote_addr=call.peer.remote_addr)
        session = await self._auth.call(LOGIN_WEB, request)
        told = session.model_dump(mode="json", include={"user", "roles", "expires"})
        return _build_reply(told, build_cookie(SESSION, session.session_id))

    async def sign_out(self, call: Call) -> Reply:
        """End the session, if there is one.

        Raises:
            AccessDenied: another site asks.
        """
        check_own_origin(call.head, is_form=False)
        session_id = read_secret(call.head, SESSION)
        if session_id:
            await self._auth.call(SESSION_END, SessionRequest(session_id=session_id))
        return _build_reply({}, build_removal(SESSION))

    async def list_applications(self, call: Call) -> Reply:
        """Tell what may be opened by whoever has this session or this client certificate.

        Raises:
            Unauthenticated: there is neither.
            AccessDenied: the session is over, or the certificate is no user's.
        """
        answer = await self._auth.call(APPS_LIST, _read_who(call))
        return _build_reply({"apps": [self._describe(app) for app in answer.apps]})

    def _describe(self, app: AppInfo) -> dict[str, object]:
        return {
            "name": app.name,
            "description": app.description,
            "protocol": app.protocol,
            "public_addr": self._launcher.find_host_name(app),
            "url": self._launcher.locate(app),
            "labels": app.labels,
        }


def _read_who(call: Call) -> AppsListRequest:
    session_id, certificate = read_secret(call.head, SESSION), call.peer.certificate_der
    if session_id:
        return AppsListRequest(session_id=session_id)
    if certificate is None:
        raise Unauthenticated("sign in first, or show a user's certificate")
    return AppsListRequest(user_certificate=ssl.DER_cert_to_PEM_cert(certificate))


def _build_reply(content: object, *headers: tuple[str, str]) -> Reply:
    return Reply(int(HTTPStatus.OK), orjson.dumps(content), headers=(*HARDENING, *headers))
