"""The GPUs of a fake node: a rendered tree, or a fake kernel where this user can mount one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakekernel import Mounted

# Real device nodes stand in the tree of a fake kernel; modes are switched whatever the kernel's age.
DYNAMIC_FLAGS = (
    "--feature-gates=DynamicPartitioning=true",
    "--repartition=per-gpu",
    "--allow-fake-device-nodes=false",
    "--rescan-interval=1",
)


@asynccontextmanager
async def fake_node(
    fleet: str, tree: Path, command: list[str], environment: Mapping[str, str], *, delay: float | None
) -> AsyncIterator[None]:
    """The tree at a folder for as long as the context lasts.

    Args:
        fleet: name or file of what the node has.
        tree: a new folder.
        command: how the plugin is run; `fakegpu` is run in the same way.
        environment: of both.
        delay: seconds that a switch of a mode takes on a fake kernel; None for a tree whose modes nobody can write.

    Raises:
        HostError: the fake kernel does not start.
    """
    if delay is None:
        write_tree(render(read_fleet(fleet)), tree, nodes=False)
        yield
        return
    kernel = Mounted(fleet, tree, python=command[:1], environment=environment)
    try:
        await asyncio.to_thread(kernel.start, f"--delay={delay}")
        yield
    finally:
        await asyncio.to_thread(kernel.close)
