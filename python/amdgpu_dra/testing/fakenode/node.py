"""The GPUs of a fake node: a rendered tree, or a fake kernel where this user can mount one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.edge.fakekernel import unmount_stale
from amdgpu_dra.edge.faketree import write_tree

# Real device nodes stand in the tree of a fake kernel; modes are switched whatever the kernel's age.
DYNAMIC_FLAGS = (
    "--feature-gates=DynamicPartitioning=true",
    "--repartition=per-gpu",
    "--allow-fake-device-nodes=false",
    "--rescan-interval=1",
)


@asynccontextmanager
async def fake_node(
    fleet: FleetSpec, tree: Path, command: list[str], environment: Mapping[str, str], *, delay: float | None
) -> AsyncIterator[None]:
    """The tree at a folder for as long as the context lasts.

    Args:
        fleet: what the node has.
        tree: a new folder.
        command: how the plugin is run; `fakegpu` is run in the same way.
        environment: of both.
        delay: seconds that a switch of a mode takes on a fake kernel; None for a tree whose modes nobody can write.

    Raises:
        HostError: the fake kernel does not start.
    """
    if delay is None:
        write_tree(render(fleet), tree, nodes=False)
        yield
        return
    library = os.environ.get("FUSE_LIBRARY_PATH")
    found = {"FUSE_LIBRARY_PATH": str(Path(library).resolve())} if library else {}
    process = await asyncio.create_subprocess_exec(
        *(*command[:-1], "amdgpu_dra.apps.fakegpu"),
        "mount",
        f"--fleet={fleet.name}",
        f"--at={tree}",
        f"--delay={delay}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment) | found,
    )
    said = b""
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            while b"control by" not in said and (line := await process.stdout.readline()):
                said += line
        if b"control by" not in said:
            raise HostError(
                "fake kernel",
                expected="to mount",
                found=said.decode(errors="replace").strip()[-500:],
                action="see docs/howto/fake-gpus.md, or leave --partitions=dynamic out",
            )
        yield
    finally:
        await _end(process, tree)


async def _end(process: asyncio.subprocess.Process, tree: Path) -> None:
    """Ends a fake kernel; whatever it was at, nothing stays mounted."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    unmount_stale(str(tree / "sys"))
