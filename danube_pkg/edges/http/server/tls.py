"""TLS from two PEM files. A new certificate is used from the next connection on, without a restart and without polling.

Each handshake checks whether the files have changed, in the server name callback, which OpenSSL calls with or without a
name. A pair that cannot be loaded is logged once, and the last good one stays in use.
"""

import logging
import ssl
from pathlib import Path

from danube_pkg.core.errors import Permanent

_Stamp = tuple[tuple[int, int, int], ...]

_log = logging.getLogger("danube.http")


class ReloadingCertificate:
    """context: for the listener. Raises Permanent if the first pair cannot be loaded."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._stamp = self._now()
        try:
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            raise Permanent(
                "certificate-unusable",
                f"cannot use {certificate} with {key}",
                cause=str(error),
                hint="[tls] certificate and key must be PEM files that belong together",
            ) from error
        self.context = self._load()
        self.context.sni_callback = self._choose

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._files)
        return context

    def _now(self) -> _Stamp:
        try:
            states = [file.stat() for file in self._files]
        except OSError:
            return ()
        return tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in states)

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._load()
                _log.info("certificate-reloaded", extra={"fields": {"file": str(self._files[0])}})
            except (OSError, ssl.SSLError) as error:
                fields = {
                    "file": str(self._files[0]),
                    "cause": str(error),
                    "hint": "the last good certificate stays in use",
                }
                _log.error("certificate-unusable", extra={"fields": fields})
        connection.context = self._current
