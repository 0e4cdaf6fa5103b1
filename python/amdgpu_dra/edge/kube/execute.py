"""Credentials by a program, as kubectl runs it (client.authentication.k8s.io)."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.edge.kube.access import ExecPlugin

_SECONDS = 30.0
_MOST_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the program gave; `ends` in seconds of the wall clock, infinity if it did not say."""

    token: str = field(default="", repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    ends: float = inf


async def execute(plugin: ExecPlugin, where: str) -> Given:
    """Runs the program and reads what it prints. Raises NotReadyError."""
    told = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    if plugin.cluster is not None:
        told["spec"] = {"interactive": False, "cluster": plugin.cluster}
    environment = {**os.environ, **plugin.environment, "KUBERNETES_EXEC_INFO": json.dumps(told)}
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise _failed(plugin, where, str(error)) from error
    try:
        async with asyncio.timeout(_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError as error:
        raise _failed(plugin, where, f"no end within {_SECONDS:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip()[-_MOST_TEXT:]
        raise _failed(plugin, where, f"status {process.returncode}: {said}")
    try:
        return decode_given(output, plugin.api_version)
    except ValueError as error:
        raise _failed(plugin, where, str(error)) from error


def decode_given(output: bytes, version: str) -> Given:
    """The credentials that a program printed. Raises ValueError, without repeating them."""
    try:
        raw: Any = json.loads(output)
    except ValueError:
        raise ValueError("what it printed is no JSON") from None
    if not isinstance(raw, Mapping) or raw.get("kind") != "ExecCredential" or raw.get("apiVersion") != version:
        raise ValueError(f"what it printed is no ExecCredential of {version}")
    status = raw.get("status")
    status = status if isinstance(status, Mapping) else {}
    token, certificate, key, ends = (
        status.get(name) or "" for name in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    )
    if not all(isinstance(value, str) for value in (token, certificate, key, ends)):
        raise ValueError("a field of its status is no text")
    if not (token or certificate) or bool(certificate) != bool(key):
        raise ValueError("its status has neither a token nor a certificate with its key")
    if not token.isascii() or not token.isprintable():
        raise ValueError("its token is not printable ASCII")
    return Given(
        token=token,
        certificate=certificate.encode() or None,
        key=key.encode() or None,
        ends=_end(ends) if ends else inf,
    )


def _end(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _failed(plugin: ExecPlugin, where: str, found: str) -> NotReadyError:
    hint = f"; {plugin.install_hint}" if plugin.install_hint else ""
    return NotReadyError(
        where,
        expected=f"credentials of exec plugin {plugin.command}",
        found=found,
        action=f"it is run again with the next request{hint}",
    )
