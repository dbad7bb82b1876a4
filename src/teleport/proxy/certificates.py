"""The certificates that browsers are shown: read from files and read again when they change, or made here."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from teleport.clock import Clock
from teleport.config.settings import KeyPairFiles, ProxySettings
from teleport.config.value_file import read_regular_file
from teleport.errors import BadParameter, NotFound, StorageError, TeleportError
from teleport.pki.web_certificate import WebCertificate, create_self_signed, read_web_certificate
from teleport.private_file import write_private_file
from teleport.web.tls import build_server_context

SELF_SIGNED_FILE = "web.pem"
MAX_FILE_BYTES = 256 * 1024
LIFE = timedelta(days=365)
"""Of a certificate that is made here; browsers take none that lives much longer."""
RENEWAL = timedelta(days=30)
"""So long before its end it is made anew."""
BACKDATE = timedelta(minutes=1)
LOOK_PERIOD = timedelta(hours=1)
"""How often the end of a certificate is looked at where files are not."""

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"

logger = logging.getLogger(__name__)


class WebCertificates:
    """The proxy's certificates for the world outside the cluster.

    Args:
        settings: of the proxy.
        data_dir: where one that is made here is kept, so that it is the same after a restart.
        nodename: of this host.
        clock: the present.
    """

    def __init__(self, settings: ProxySettings, *, data_dir: Path, nodename: str, clock: Clock) -> None:
        self._settings = settings
        self._path = data_dir / SELF_SIGNED_FILE
        self._names = list_own_names(settings, nodename)
        self._clock = clock

    def load(self) -> tuple[WebCertificate, ...]:
        """Return what there is, the one to show when no other fits first.

        Raises:
            BadParameter: a file is missing or is not what it should be; the message names it.
            StorageError: the data directory cannot be used.
        """
        if self._settings.keypairs:
            return tuple(self._load_pair(files) for files in self._settings.keypairs)
        certificate = self._load_self_signed() or self._make_self_signed()
        logger.warning(
            "proxy_service.https_keypairs is not set: the web certificate signs itself, so browsers warn and clients "
            "need --insecure; it is kept in %s",
            self._path,
        )
        return (certificate,)

    async def follow(
        self,
        use: Callable[[Sequence[WebCertificate]], None],
        report: Callable[[str | None], None],
    ) -> None:
        """Hand over new certificates until cancelled; a broken new one leaves the old ones in use.

        Args:
            use: takes what was loaded.
            report: told what is wrong, and None when nothing is.
        """
        seen, problem = self._look(), ""
        while True:
            await asyncio.sleep(self._period)
            now = self._look()
            if now == seen and not problem:
                continue
            try:
                use(self.load())
            except TeleportError as error:
                if error.message != problem:
                    report(f"the web certificates stay as they were: {error.message}")
                problem = error.message
            else:
                logger.info("the web certificates have been read anew")
                report(None)
                problem = ""
            seen = now if self._settings.keypairs else self._look()

    @property
    def _period(self) -> float:
        interval = self._settings.keypairs_reload_interval if self._settings.keypairs else timedelta()
        return (interval or LOOK_PERIOD).total_seconds()

    def _look(self) -> object:
        """Return what differs when there is something new."""
        if self._settings.keypairs:
            return self._look_at_files() if self._settings.keypairs_reload_interval else None
        certificate = self._load_self_signed()
        return certificate and certificate.not_after

    def _look_at_files(self) -> object:
        paths = [path for files in self._settings.keypairs for path in (files.cert_file, files.key_file)]
        return tuple(_look_at_file(path) for path in paths)

    def _load_pair(self, files: KeyPairFiles) -> WebCertificate:
        try:
            chain, key = (read_regular_file(path, MAX_FILE_BYTES) for path in (files.cert_file, files.key_file))
        except NotFound as error:
            raise BadParameter(error.message) from error
        try:
            certificate = read_web_certificate(chain, key)
            build_server_context(certificate_pem_chain=chain, private_key_pem=key, client_ca_pems=())
        except BadParameter as error:
            raise BadParameter(f"{files.cert_file} and {files.key_file}: {error.message}") from error
        if certificate.not_after <= self._clock.now():
            logger.warning("the web certificate %s has expired; browsers refuse it", files.cert_file)
        return certificate

    def _load_self_signed(self) -> WebCertificate | None:
        """Return the one that was made before, if it is there and good for a while."""
        try:
            text = read_regular_file(self._path, MAX_FILE_BYTES)
            begin = text.find(_CERTIFICATE)
            certificate = read_web_certificate(text[begin:], text[:begin])
        except (NotFound, BadParameter):
            return None
        is_good = certificate.not_after - self._clock.now() > RENEWAL and set(certificate.names) >= set(self._names)
        return certificate if is_good else None

    def _make_self_signed(self) -> WebCertificate:
        now = self._clock.now()
        certificate = create_self_signed(self._names, not_before=now - BACKDATE, not_after=now + LIFE)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private_file(self._path, (certificate.key_pem + certificate.chain_pem).encode("ascii"))
        except OSError as error:
            raise StorageError(f"cannot keep the web certificate in {self._path}: {error.strerror}") from error
        return certificate


def list_own_names(settings: ProxySettings, nodename: str) -> tuple[str, ...]:
    """Return the names for which a certificate is made here: those that are public, and those of this host."""
    public = [address.host.lower() for address in settings.public_addrs]
    return tuple(dict.fromkeys([*public, nodename.lower(), "localhost", "127.0.0.1", "::1"]))


def _look_at_file(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
