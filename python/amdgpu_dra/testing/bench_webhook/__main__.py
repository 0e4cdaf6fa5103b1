"""Starts the webhook, sends each kind of review over and over, and prints what a review costs its process."""

import argparse
import asyncio
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from amdgpu_dra.edge.admission import PATH
from amdgpu_dra.testing.bench.measure import cpu_ms, rss_mb
from amdgpu_dra.testing.bench_webhook.reviews import REVIEWS
from amdgpu_dra.testing.webhook import webhook_process


async def _send(session: aiohttp.ClientSession, url: str, make: Callable[[int], bytes], places: range) -> None:
    for place in places:
        async with session.post(url, data=make(place), headers={"Content-Type": "application/json"}) as response:
            assert response.status == 200, await response.text()
            await response.read()


async def _run(count: int, callers: int) -> None:
    table = Table("review", "per second", "ms of its CPU", "RSS, 10⁶ bytes", title="webhook")
    with tempfile.TemporaryDirectory() as name:
        async with webhook_process(Path(name)) as process:
            trust = ssl.create_default_context(cadata=process.authority.decode())
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=callers)) as session:
                for title, make in REVIEWS.items():
                    before, start = cpu_ms(process.pid), time.perf_counter()
                    url = f"https://localhost:{process.port}{PATH}"
                    shares = (range(caller, count, callers) for caller in range(callers))
                    await asyncio.gather(*(_send(session, url, make, share) for share in shares))
                    seconds = time.perf_counter() - start
                    cost = (cpu_ms(process.pid) - before) / count
                    table.add_row(title, f"{count / seconds:,.0f}", f"{cost:.2f}", f"{rss_mb(process.pid):.0f}")
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
