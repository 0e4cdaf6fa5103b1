"""The certificate of a server, followed while its files change."""

import logging
import os
import ssl
from datetime import UTC, datetime

from cryptography import x509

from amdgpu_dra.api.errors import UsageError

_LOG = logging.getLogger("certificate")


class Certificate:
    """A certificate chain and its key, in PEM files that others renew: cert-manager, a person, a hook job."""

    def __init__(self, certificate_file: str, key_file: str) -> None:
        """Reads both. Raises UsageError if they cannot be read or do not fit together."""
        self._files = (certificate_file, key_file)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = _fingerprint(self._files)
        self._until = self._load()

    def follow(self) -> bool:
        """Reads both again if a file has changed; whether the new ones are served now. What is wrong is logged once.

        New connections get the new certificate; the old one is served on while the new files are no good.
        """
        now = _fingerprint(self._files)
        if now == self._seen:
            return False
        self._seen = now
        try:
            self._until = self._load()
        except UsageError as error:
            _LOG.error("%s; the certificate of before is served on", error)
            return False
        _LOG.info("certificate read anew; valid until %s", self._until.isoformat())
        return True

    def find_problem(self, now: datetime) -> str | None:
        """Why clients would refuse the certificate, or None."""
        if now >= self._until:
            return f"the certificate {self._files[0]} has expired at {self._until.isoformat()}; renew it"
        return None

    def _load(self) -> datetime:
        certificate_file, key_file = self._files
        try:
            # First by itself: a chain that does not fit its key shall not take the place of one that does.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_file, key_file, password=_no_password)
            with open(certificate_file, "rb") as file:
                found = x509.load_pem_x509_certificate(file.read())
            self.context.load_cert_chain(certificate_file, key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"certificate {certificate_file} and key {key_file}",
                expected="PEM files that fit together",
                found=str(error),
                action="see that the Secret has tls.crt and tls.key, and that it is mounted where the flags say",
            ) from error
        return found.not_valid_after_utc


def _no_password() -> bytes:
    raise ValueError("the key is encrypted")


def _fingerprint(files: tuple[str, ...]) -> tuple[object, ...]:
    """Differs whenever a file is replaced. A Secret's volume replaces them through a link, all at once."""
    found: list[object] = []
    for path in files:
        try:
            state = os.stat(path)
            found += [state.st_ino, state.st_size, state.st_mtime_ns]
        except OSError as error:
            found.append(error.errno)
    return tuple(found)


def utc_now() -> datetime:
    """The time by which certificates expire."""
    return datetime.now(UTC)  # noqa: TID251 - certificates go by the time of day
