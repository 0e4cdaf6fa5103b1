"""What a registry that refuses or does not answer means, in words."""

import json
from http import HTTPStatus

import urllib3

from amdgpu_dra.api.errors import DriverError, NotReadyError, UsageError, shorten

_ACTIONS = {
    401: "log in with docker or podman and name the file's folder in DOCKER_CONFIG, or set REGISTRY_USERNAME and "
    "REGISTRY_PASSWORD",
    403: "give this user the right to push to the repository",
    404: "make the repository, or correct its name",
    413: "raise the registry's limit of a request's size",
    429: "wait, and run it again: what was sent stays",
}


def refused(host: str, where: str, answer: urllib3.BaseHTTPResponse, source: str) -> DriverError:
    """The error for an answer that is none of those that were expected.

    Args:
        host: of the registry.
        where: what was asked for.
        answer: the registry's.
        source: where the credentials come from.
    """
    if b"HTTP request to an HTTPS server" in answer.data:
        return UsageError(f"registry {host}", expected="plain HTTP", found="TLS", action="leave --plain-http out")
    found = f"status {answer.status}{_told(answer)}" + (
        f" with credentials: {source}" if answer.status == HTTPStatus.UNAUTHORIZED else ""
    )
    later = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS
    kind = NotReadyError if later else UsageError
    action = _ACTIONS.get(answer.status, "look into the registry's log, and run it again: what was sent stays")
    return kind(f"registry {host}: {where}", expected="success", found=found, action=action)


def _told(answer: urllib3.BaseHTTPResponse) -> str:
    """The registry's own words, if it has some."""
    try:
        rows = json.loads(answer.data)["errors"]
        return ": " + "; ".join(shorten(f"{row['code']} {row.get('message', '')}".strip(), 120) for row in rows)
    except (ValueError, KeyError, TypeError):
        return f": {shorten(answer.data.decode(errors='replace'), 120)}" if answer.data else ""


def unreachable(host: str, url: str, error: urllib3.exceptions.HTTPError) -> DriverError:
    """The error for a request without an answer."""
    reason = getattr(error, "reason", None) or error
    text = shorten(str(reason), 200)
    where = f"registry {host}"
    if isinstance(reason, urllib3.exceptions.SSLError):
        if "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return UsageError(
                where,
                expected="a certificate that this machine trusts",
                found=text,
                action="give a file with its authority by --ca-file",
            )
        return UsageError(
            where, expected=f"TLS at {url}", found=text, action="for a test registry that has none give --plain-http"
        )
    return NotReadyError(
        where, expected=f"an answer from {url}", found=text, action="correct the name, or run it again when it serves"
    )
