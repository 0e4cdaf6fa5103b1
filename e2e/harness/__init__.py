"""A real Kubernetes cluster for tests: where it runs, the cluster itself, and how its state is read and awaited."""

from harness.cluster import Cluster
from harness.host import CommandError, Host, Pieces, find_pieces, make_host

__all__ = ["Cluster", "CommandError", "Host", "Pieces", "find_pieces", "make_host"]
