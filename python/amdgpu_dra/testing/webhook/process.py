"""Starts the webhook and ends it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from amdgpu_dra.edge.certificates import make_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookProcess:
    """A webhook that serves on `localhost`, with a certificate of `authority` (PEM)."""

    pid: int
    port: int
    authority: bytes


@asynccontextmanager
async def webhook_process(folder: Path) -> AsyncIterator[WebhookProcess]:
    """A webhook that serves inside; `folder` gets its certificate."""
    pair = make_pair(("localhost",), datetime.now(UTC))  # noqa: TID251 - certificates go by the time of day
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "amdgpu_dra.apps.webhook",
        "--port=0",
        f"--tls-cert-file={folder}/tls.crt",
        f"--tls-private-key-file={folder}/tls.key",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    # What it says of refusals must not fill the pipe.
    reading = asyncio.create_task(process.stderr.read())
    try:
        yield WebhookProcess(pid=process.pid, port=int(line.split()[-1]), authority=pair.authority)
    finally:
        process.kill()
        await process.wait()
        await reading
