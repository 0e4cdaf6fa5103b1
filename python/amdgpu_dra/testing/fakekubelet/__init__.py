"""The kubelet's side of the protocol, and the container runtime's reading of CDI documents."""

from amdgpu_dra.testing.fakekubelet.cdi import CdiError, resolve
from amdgpu_dra.testing.fakekubelet.kubelet import FakeKubelet, KubeletError
from amdgpu_dra.testing.fakekubelet.manager import PluginManager
from amdgpu_dra.testing.fakekubelet.plugin import Plugin, Setting, start_plugin
from amdgpu_dra.testing.fakekubelet.probe import free_port, probe
from amdgpu_dra.testing.fakekubelet.program import assemble

__all__ = [
    "CdiError",
    "FakeKubelet",
    "KubeletError",
    "Plugin",
    "PluginManager",
    "Setting",
    "assemble",
    "free_port",
    "probe",
    "resolve",
    "start_plugin",
]
