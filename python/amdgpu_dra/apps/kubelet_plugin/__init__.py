"""The kubelet plugin: flags, wiring, run."""

from amdgpu_dra.apps.kubelet_plugin.main import main

__all__ = ["main"]
