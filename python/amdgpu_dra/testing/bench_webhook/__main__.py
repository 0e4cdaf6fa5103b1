"""Starts the webhook, sends each kind of review over and over, and prints what a review costs its process."""

import argparse
import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from amdgpu_dra.edge.admission import PATH
from amdgpu_dra.edge.certificates import make_pair
from amdgpu_dra.testing.bench_webhook.reviews import REVIEWS

_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> float:
    """Resident, in 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6


async def _start(folder: Path) -> tuple[asyncio.subprocess.Process, int]:
    pair = make_pair(("localhost",), datetime.now(UTC))  # noqa: TID251 - certificates go by the time of day
    for name, data in (("ca.crt", pair.authority), ("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (folder / name).write_bytes(data)
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
    asyncio.get_running_loop().create_task(process.stderr.read())
    return process, int(line.split()[-1])


async def _send(session: aiohttp.ClientSession, url: str, make: Callable[[int], bytes], places: range) -> None:
    for place in places:
        async with session.post(url, data=make(place), headers={"Content-Type": "application/json"}) as response:
            assert response.status == 200, await response.text()
            await response.read()


async def _run(count: int, callers: int) -> None:
    table = Table("review", "per second", "ms of its CPU", "RSS, 10⁶ bytes", title="webhook")
    with tempfile.TemporaryDirectory() as name:
        process, port = await _start(Path(name))
        trust = ssl.create_default_context(cafile=f"{name}/ca.crt")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=callers)) as session:
            for title, make in REVIEWS.items():
                before, start = _cpu(process.pid), time.perf_counter()
                url = f"https://localhost:{port}{PATH}"
                shares = (range(caller, count, callers) for caller in range(callers))
                await asyncio.gather(*(_send(session, url, make, share) for share in shares))
                seconds = time.perf_counter() - start
                cost = (_cpu(process.pid) - before) * 1000 / count
                table.add_row(title, f"{count / seconds:,.0f}", f"{cost:.2f}", f"{_memory(process.pid):.0f}")
        process.terminate()
        await process.wait()
    Console().print(table)


def main() -> int:
    """Always 0: figures are for people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="reviews of each kind (default %(default)s)")
    parser.add_argument("--callers", type=int, default=8, help="connections (default %(default)s)")
    options = parser.parse_args()
    asyncio.run(_run(options.count, options.callers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
