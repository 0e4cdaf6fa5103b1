"""What the plugin reads of a tree, and when it knows that it has to read again."""

import asyncio
from dataclasses import replace
from pathlib import Path

from amdgpu_dra.apps.kubelet_plugin.adapters import SysfsTree
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import paths
from amdgpu_dra.edge.faketree import read_fleet, write_tree


def test_a_driver_loaded_anew_has_another_generation_than_what_was_read(tmp_path: Path) -> None:
    """Also where KFD has counted to the same number, and every minor is another GPU's."""
    fleet = read_fleet("mi300x-8-spx")
    write_tree(render(fleet), tmp_path, nodes=False)
    tree = SysfsTree(f"{tmp_path}/sys")
    before = asyncio.run(tree.read_inventory())
    assert asyncio.run(tree.find_generation()) == before.generation

    seen = asyncio.run(tree.fingerprint(frozenset()))
    # Unlike sysfs, a disk gives the number of a file that has gone to the next one.
    (tmp_path / "kept").hardlink_to(f"{tree.root}/{paths.GENERATION}")
    write_tree(render(replace(fleet, gpus=fleet.gpus[::-1])), tmp_path, nodes=False)
    assert asyncio.run(tree.find_generation()) != before.generation
    assert asyncio.run(tree.fingerprint(frozenset())) != seen

    after = asyncio.run(tree.read_inventory())
    assert asyncio.run(tree.find_generation()) == after.generation == before.generation
