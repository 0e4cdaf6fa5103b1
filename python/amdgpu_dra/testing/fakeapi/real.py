"""The real API server, from the programs that e2e/setup made."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from amdgpu_dra.testing.fakeapi.client import ApiError, Client

TOKEN = "token-of-a-test"  # noqa: S105 - of a server that lives as long as the test


def find_binaries() -> Path | None:
    """The folder with kube-apiserver and etcd, if e2e/setup has made it."""
    current = Path(os.environ.get("AMDGPU_DRA_CACHE", "/nowhere")) / "e2e" / "current"
    if not current.is_file():
        return None
    found = dict(line.split("=", 1) for line in current.read_text().splitlines()).get("binaries")
    return Path(found) if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def real_api(binaries: Path, work: Path, *, gates: str = "", served: str = "") -> AsyncIterator[tuple[str, str]]:
    """Address and token of an API server with etcd behind it; both end with the context.

    `gates` are feature gates of the server, `NAME=true,…`; `served` are API versions, `GROUP/VERSION=true,…`.
    """
    store, peer, port = _free_port(), _free_port(), _free_port()
    subprocess.run(["openssl", "genrsa", "-out", work / "sa.key", "2048"], check=True, capture_output=True)
    (work / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    etcd: list[str | Path] = [
        binaries / "etcd",
        f"--data-dir={work}/etcd",
        f"--listen-client-urls=http://127.0.0.1:{store}",
        f"--advertise-client-urls=http://127.0.0.1:{store}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]
    server: list[str | Path] = [
        binaries / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{store}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--service-account-issuer=https://test.example",
        f"--service-account-key-file={work}/sa.key",
        f"--service-account-signing-key-file={work}/sa.key",
        f"--token-auth-file={work}/tokens.csv",
        f"--cert-dir={work}/certs",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",
        # As in every cluster that kubeadm makes.
        "--allow-privileged",
        *([f"--feature-gates={gates}"] if gates else []),
        *([f"--runtime-config={served}"] if served else []),
    ]
    with (work / "api.log").open("wb") as log:
        programs = [
            await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log) for command in (etcd, server)
        ]
    try:
        address = f"https://127.0.0.1:{port}"
        await _wait_ready(address)
        yield address, TOKEN
    finally:
        for program in reversed(programs):
            if program.returncode is None:
                program.send_signal(signal.SIGKILL)
            await program.wait()
        shutil.rmtree(work / "etcd", ignore_errors=True)


async def _wait_ready(address: str) -> None:
    async with asyncio.timeout(60), Client(address, TOKEN) as client:
        while True:
            try:
                await client.call("GET", "/api/v1/namespaces/default")
            except (ApiError, OSError):
                await asyncio.sleep(0.2)
            else:
                return
