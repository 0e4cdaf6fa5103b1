"""The API client behind the ports: kubeconfig or pod, aiohttp, JSON.

Knows HTTP, credentials and the API's errors. Refuses to know what is done with claims and slices. The HTTP library is
imported on first use: it takes longer than everything else at start, and the sockets must answer before.
"""

from amdgpu_dra.edge.kube.api import KubeApi
from amdgpu_dra.edge.kube.connection import Connection

__all__ = ["Connection", "KubeApi"]
