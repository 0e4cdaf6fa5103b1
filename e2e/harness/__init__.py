"""A real Kubernetes cluster for tests: where it runs, the cluster itself, and how its state is read and awaited."""

from harness.cluster import Cluster
from harness.host import Host, LabHost, Pieces, find_pieces

__all__ = ["Cluster", "Host", "LabHost", "Pieces", "find_pieces"]
