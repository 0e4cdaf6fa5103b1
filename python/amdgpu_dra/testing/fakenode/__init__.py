"""A node around the plugin: GPUs rendered or on a fake kernel, an API server, a kubelet."""

from amdgpu_dra.testing.fakenode.node import DYNAMIC_FLAGS, fake_node
from amdgpu_dra.testing.fakenode.world import DRIVER, NODE, World, make_world, tell, until

__all__ = ["DRIVER", "DYNAMIC_FLAGS", "NODE", "World", "fake_node", "make_world", "tell", "until"]
