"""`Credentials`: the header and the TLS context of a request, kept up with the files and programs behind them."""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from amdgpu_dra.edge.kube.access import Access, Pem
from amdgpu_dra.edge.kube.execute import Given, execute

_LOG = logging.getLogger("kube")
# Files are looked at this often. The kubelet renews a pod's token long before the old one ends.
_LOOK_SECONDS = 60.0
# A program's credentials are asked for anew this long before they end.
_EARLY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows: the header `Authorization`, if any, and the context of TLS, if the server speaks it."""

    authorization: str
    context: ssl.SSLContext | None


class Credentials:
    """Of one connection."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._shown: Shown | None = None
        self._seen: object = None
        self._looked = 0.0
        self._given: Given | None = None
        self._asking = asyncio.Lock()

    async def get(self) -> Shown:
        """What a request shows now.

        What was read once stays in use if it cannot be read again; the log tells.

        Raises:
            OSError: a file cannot be read, and never was.
            ValueError: nor used.
            NotReadyError: the exec plugin gave nothing.
        """
        if self._access.exec is not None:
            await self._ask()
        now = time.monotonic()
        shown = self._shown
        if shown is not None and now - self._looked < _LOOK_SECONDS:
            return shown
        # Others go on with the old meanwhile.
        self._looked = now
        try:
            shown = self._shown = await asyncio.to_thread(self._look, shown)
        except (OSError, ValueError) as error:
            if shown is None:
                raise
            _LOG.error("%s: %s; those of before stay in use", self._access.where, error)
        return shown

    def doubt(self) -> None:
        """The server refused them: the next request looks at once."""
        self._looked = -_LOOK_SECONDS
        self._given = None

    async def _ask(self) -> None:
        """Has the exec plugin's credentials, for as long as they last."""
        async with self._asking:
            if self._access.exec is None or (
                self._given is not None and self._given.ends > time.time() + _EARLY_SECONDS  # noqa: TID251 - as the program states it
            ):
                return
            self._given = await execute(self._access.exec, self._access.where)
            self._looked = -_LOOK_SECONDS

    def _look(self, before: Shown | None) -> Shown:
        access, given = self._access, self._given
        authorization, certificate, key = access.authorization, access.certificate, access.key
        if access.token_file:
            with open(access.token_file, encoding="ascii") as file:
                authorization = f"Bearer {_token(file.read(), access.token_file)}"
        elif given is not None:
            authorization = f"Bearer {given.token}" if given.token else authorization
            certificate, key = given.certificate or certificate, given.key or key
        seen = (tuple(_stamp(path) for path in access.files), certificate, key)
        if before is not None and seen == self._seen:
            return Shown(authorization, before.context)
        context = None
        if access.server.startswith("https:"):
            context = make_context(access.ca, certificate, key, insecure=access.insecure)
        self._seen = seen
        return Shown(authorization, context)


def _token(text: str, path: str) -> str:
    token = text.strip()
    if not token or not token.isprintable():
        raise ValueError(f"file {path} holds no token")
    return token


def _stamp(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def make_context(ca: Pem | None, certificate: Pem | None, key: Pem | None, *, insecure: bool) -> ssl.SSLContext:
    """A client's context.

    Raises:
        OSError: a file cannot be read, or is not what it should be (ssl.SSLError).
        ValueError: the same, of data.
    """
    if isinstance(ca, bytes):
        context = ssl.create_default_context(cadata=ca.decode("ascii"))
    else:
        context = ssl.create_default_context(cafile=ca)
    # Certificates of clusters may lack extensions that Python 3.13 has come to demand, and no other client does.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        with _as_file(certificate) as certificate_path, _as_file(key or certificate) as key_path:
            context.load_cert_chain(certificate_path, key_path)
    return context


@contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """A path to read it by; a key that was no file never comes to lie on a disk."""
    if isinstance(pem, str):
        yield pem
        return
    handle = os.memfd_create("pem")
    try:
        os.write(handle, pem)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
