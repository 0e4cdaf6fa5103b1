"""A fake kernel mounted as a file system through libfuse, and the socket through which it is told what goes wrong.

Knows FUSE, mounts, threads and how long a switch takes. Refuses to know what a write means: `core/fakekernel` judges.
"""

from amdgpu_dra.edge.fakekernel.client import Control, RefusedError
from amdgpu_dra.edge.fakekernel.filesystem import FileSystem
from amdgpu_dra.edge.fakekernel.mount import CONTROL, check_free, mount, unmount
from amdgpu_dra.edge.fakekernel.node import Node
from amdgpu_dra.edge.fakekernel.server import ControlServer
from amdgpu_dra.edge.fakekernel.serving import serve_fuse, why_no_kernel

__all__ = [
    "CONTROL",
    "Control",
    "ControlServer",
    "FileSystem",
    "Node",
    "RefusedError",
    "check_free",
    "mount",
    "serve_fuse",
    "unmount",
    "why_no_kernel",
]
