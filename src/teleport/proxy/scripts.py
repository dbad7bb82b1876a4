"""The install script and what it downloads, as parts of the public port."""

import logging
from http import HTTPStatus

from teleport.errors import BadParameter, NotFound, TeleportError
from teleport.proxy.archives import Archives
from teleport.proxy.install_script import render_failure, render_install_script
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.resources.address import Address, parse_address
from teleport.web.call import Call, Handler, Reply, Route

SCRIPT = "text/x-shellscript; charset=utf-8"
ARCHIVE = "application/gzip"
HTTPS_PORT = 443
_SWITCHES = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}

logger = logging.getLogger(__name__)


def offer_scripts(archives: Archives, *, public_addrs: tuple[Address, ...]) -> Offer:
    """Return the pages from which hosts install this version.

    Args:
        archives: what they install.
        public_addrs: of the proxy; without any, a host downloads from where it got the script.
    """

    async def answer_install(call: Call) -> Reply:
        try:
            script = await _render(call, archives, public_addrs)
        except TeleportError as error:
            logger.warning("the install script cannot be given: %s", error)
            script = render_failure(_explain(error))
        # 200 in any case: what fetches a script shows nothing else to the shell that runs it.
        return Reply(HTTPStatus.OK, script.encode(), content_type=SCRIPT)

    async def refuse_script(_: Call) -> Reply:
        raise NotFound("there is no such script; there is /scripts/install.sh")

    async def answer_archive(call: Call) -> Reply:
        archive = archives.find(call.parameter)
        return Reply(HTTPStatus.OK, content_type=ARCHIVE, parts=archive.read(), length=archive.size)

    pages = (
        _build_page("/scripts/install.sh", answer_install),
        _build_page("/scripts/*", refuse_script),
        _build_page("/webapi/dist/*", answer_archive),
    )
    return Offer(routes=tuple(route for page in pages for route in with_and_without_version(page)))


async def _render(call: Call, archives: Archives, public_addrs: tuple[Address, ...]) -> str:
    insecure = _SWITCHES.get(call.head.query.get("insecure", "").lower())
    if insecure is None:
        raise BadParameter("insecure is true or false")
    checksums = await archives.list_checksums()
    if not checksums:
        raise NotFound("this proxy has no archive of its version; its administrator puts one into its dist_dir")
    proxy = choose_address(call.head.fields.get("host", ""), public_addrs)
    return render_install_script(proxy=proxy, checksums=checksums, insecure=insecure)


def choose_address(host: str, public_addrs: tuple[Address, ...]) -> Address:
    """Return where a host downloads from: where its Host header says, or at the first address if that is not ours.

    Raises:
        BadParameter: the header is no address, and the proxy has none of its own.
    """
    known = {str(address): address for address in public_addrs}
    if public_addrs:
        return known.get(host if ":" in host else f"{host}:{HTTPS_PORT}", public_addrs[0])
    if host.partition(":")[0] == "":
        raise BadParameter("the request names no host")
    return parse_address(host, HTTPS_PORT)


def _explain(error: TeleportError) -> str:
    """Return what a stranger may know; the log has the rest."""
    if isinstance(error, BadParameter | NotFound):
        return str(error)
    return "the proxy cannot give the install script now; its log says why"


def _build_page(path: str, handler: Handler) -> Route:
    return Route(path, "GET", handler, anonymous=True, max_body=0, is_page=True)
