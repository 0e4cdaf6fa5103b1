"""Reads fleet files and writes fake trees to disk.

Knows YAML, files and device nodes. Refuses to know what stands in the tree: `core/fakegpu` renders it.
"""

from amdgpu_dra.edge.faketree.read import bundled_fleets, read_fleet
from amdgpu_dra.edge.faketree.write import FAKE_MARKER, list_nodes, make_ready, write_nodes, write_tree

__all__ = ["FAKE_MARKER", "bundled_fleets", "list_nodes", "make_ready", "read_fleet", "write_nodes", "write_tree"]
