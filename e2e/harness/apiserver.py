"""A real API server with etcd and nothing else, the chart's objects for it, and requests to it.

Knows kube-apiserver and helm. Refuses to know nodes and pods that run.
"""

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from amdgpu_dra.testing.fakeapi import real_api, write_kubeconfig
from harness.host import find_pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Of the API server: status, object, and warnings."""

    status: int
    body: Any
    warnings: list[str]


class Server:
    """The API server, as its administrator or with another token, and the folder `work` beside it."""

    def __init__(self, session: aiohttp.ClientSession, work: Path, headers: Mapping[str, str] | None = None) -> None:
        self._session, self.work, self._headers = session, work, headers or {}

    def with_token(self, token: str) -> "Server":
        """The same server, asked with this token."""
        return Server(self._session, self.work, {"Authorization": f"Bearer {token}"})

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        """Whatever it answers."""
        async with self._session.request(method, path, json=body, headers=self._headers) as answer:
            warnings = answer.headers.getall("Warning", [])
            return Answer(status=answer.status, body=await answer.json(), warnings=warnings)

    async def make(self, path: str, body: object) -> Any:
        """An object that has to be taken."""
        answer = await self.call("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.body


@asynccontextmanager
async def open_server(served: str = "") -> AsyncIterator[Server]:
    """A new server; `served` are further API versions. Skips the test where there are no programs for it."""
    pieces = find_pieces()
    if not pieces.binaries:
        pytest.skip("an API server of its own is made only where there is no Docker")
    with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
        work = Path(folder)
        async with real_api(Path(pieces.binaries), work, served=served) as (address, token):
            write_kubeconfig(work / "kubeconfig", address, token)
            connector = aiohttp.TCPConnector(ssl=False)
            headers = {"Authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(address, headers=headers, connector=connector) as session:
                yield Server(session, work)


def chart_objects(*values: str, kubernetes: str = "1.37.0") -> list[dict[str, Any]]:
    """What the chart renders with these values, PATH=VALUE, for a version of Kubernetes, also one that it refuses."""
    chosen = [part for value in ("image.repository=r.example/p", *values) for part in ("--set", value)]
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "chart"
        shutil.copytree("charts/k8s-gpu-dra-driver", chart)
        about = (chart / "Chart.yaml").read_text().splitlines()
        (chart / "Chart.yaml").write_text("\n".join(line for line in about if not line.startswith("kubeVersion")))
        command = [find_pieces().helm, "template", "driver", str(chart), "--namespace", "amd-gpu"]
        done = subprocess.run(
            [*command, "--kube-version", kubernetes, *chosen],
            env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
    return [item for item in yaml.safe_load_all(done.stdout) if item]
