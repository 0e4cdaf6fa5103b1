"""Sixteen pods with claims coming and going, while everything that a node does happens to it."""

from harness import Cluster, run_soak


def test_every_pod_runs_and_nothing_is_left(cluster: Cluster) -> None:
    """Under one round of faults each pod gets its GPUs and ends, no GPU is given twice, and the node is as it was."""
    outcome = run_soak(cluster, pods=16, seconds=90, tell=lambda line: print(line, flush=True))
    print(outcome.table(), *outcome.problems, sep="\n")

    assert list(outcome.problems) == []
    assert outcome.faults["plugin killed"] >= 6
    assert outcome.faults["kubelet killed"] == outcome.faults["containerd killed"] == 2
    assert outcome.pods >= 3 * 16
