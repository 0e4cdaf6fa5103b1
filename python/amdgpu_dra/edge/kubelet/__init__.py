"""The plugin's gRPC side: registration, the DRA service, the health of devices, the process's own health.

The only importer of the protocol stubs. Knows sockets and messages. Refuses to know what preparing a claim means.
"""

from amdgpu_dra.edge.kubelet.health import HealthServer, HealthState
from amdgpu_dra.edge.kubelet.server import KubeletServer
from amdgpu_dra.edge.kubelet.sockets import Sockets
from amdgpu_dra.edge.kubelet.watch import ResourceHealth

__all__ = ["HealthServer", "HealthState", "KubeletServer", "ResourceHealth", "Sockets"]
