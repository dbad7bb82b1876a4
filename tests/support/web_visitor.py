"""Somebody who visits the proxy's pages without a browser: keeps cookies, sends forms, and says where from."""

import asyncio
import http.client
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import urlencode

from support.processes import PATIENCE
from support.proxy import build_credulous_context
from teleport.pki.totp import SKEW_STEPS, compute_code, find_step
from teleport.resources.address import Address

PASSWORD = "correct horse battery"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    text: str

    def find(self, name: str) -> str:
        """Return a header, which stands there once or not at all."""
        (value,) = [value for key, value in self.headers if key.lower() == name.lower()] or [""]
        return value

    @property
    def cookies(self) -> dict[str, str]:
        """Return the headers that set cookies, by the cookies' names."""
        found = [value for key, value in self.headers if key.lower() == "set-cookie"]
        return {value.partition("=")[0]: value for value in found}

    @property
    def hidden(self) -> dict[str, str]:
        """Return the hidden fields of its form."""
        return {name: value for name, kind, value in read_page(self.text).inputs if kind == "hidden"}

    @property
    def links(self) -> list[str]:
        """Return where its links lead."""
        return read_page(self.text).links


Send = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Answer]]
"""Carries method, target, headers and body, and returns the answer."""


@dataclass(slots=True)
class WebVisitor:
    """A browser's cookies and manners."""

    send: Send
    host: str = "proxy.example.com"
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, target: str, **headers: str) -> Answer:
        """Open a page."""
        return await self.ask("GET", target, _name(headers))

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """Send a form as a page of the same origin does it; an empty header is left out."""
        manners = {"sec-fetch-site": "same-origin", "origin": "null", "content-type": FORM}
        return await self.ask("POST", path, manners | _name(headers), urlencode(fields).encode())

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Ask for anything."""
        own = {"host": self.host}
        if self.cookies:
            own["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body:
            own["content-length"] = str(len(body))
        sent = {name: value for name, value in (own | _name(headers)).items() if value}
        answer = await self.send(method, target, sent, body)
        for name, header in answer.cookies.items():
            self.cookies[name] = header.partition("=")[2].partition(";")[0]
            if "Max-Age=0" in header:
                del self.cookies[name]
        return answer

    async def enrol(self, path: str) -> str:
        """Accept an invitation by its page and return the second factor's secret."""
        page = await self.get(path)
        assert page.status == 200, page.text
        secret = read_page(page.text).secret
        done = await self.post(path, self.fill_invitation(page, secret))
        assert (done.status, done.find("location")) == (303, "/web/apps"), done.text
        return secret

    def fill_invitation(self, page: Answer, secret: str, **fields: str) -> dict[str, str]:
        """Return a form that is filled in, with the present code: the next one is still good."""
        typed = {"user": "x", "password": PASSWORD, "repeated": PASSWORD, "code": build_code(secret, 0)}
        return page.hidden | typed | fields

    async def sign_in(self, user: str, code: str, password: str = PASSWORD, following: str = "") -> Answer:
        """Sign in by the form."""
        page = await self.get("/web/login" + (f"?{urlencode({'next': following})}" if following else ""))
        return await self.post("/web/login", page.hidden | {"user": user, "password": password, "code": code})


def _name(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers by their names, which have dashes where arguments have underscores."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def build_code(secret: str, step: int = SKEW_STEPS, now: datetime | None = None) -> str:
    """Return a code that is good, by default one that will be the last good one."""
    return compute_code(secret, find_step(now or datetime.now(UTC)) + step)


def send_to(address: Address) -> Send:
    """Return what carries requests to a proxy on this machine, each on a connection of its own."""

    def send(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        context = build_credulous_context()
        connection = http.client.HTTPSConnection(address.host, address.port, context=context, timeout=PATIENCE)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, tuple(response.getheaders()), response.read().decode())
        finally:
            connection.close()

    async def send_aside(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return await asyncio.to_thread(send, method, target, headers, body)

    return send_aside


class Page(HTMLParser):
    """What a page consists of, as a browser reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inputs: list[tuple[str, str, str]] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.secret = ""
        self._is_secret = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += found.items()
        self._is_secret = found.get("id") == "secret"
        if tag == "input":
            self.inputs.append((found["name"], found["type"], found.get("value", "")))
        if tag == "a":
            self.links.append(found["href"])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._is_secret:
            self.secret = data.replace(" ", "")
            self._is_secret = False


def read_page(text: str) -> Page:
    """Return what a page consists of."""
    page = Page()
    page.feed(text)
    page.close()
    return page
