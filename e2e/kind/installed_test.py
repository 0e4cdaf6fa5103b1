"""Scenarios on a driver that is installed: which run on it, what the others say, and that nothing is changed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from harness import (
    KERNEL_TREE,
    TREES,
    Cluster,
    Installed,
    Pieces,
    install_driver,
    install_fake_kernel,
    knows_gpus,
    remove_driver,
    remove_fake_kernel,
    require_fleet,
)
from harness.cluster import DEV_IMAGE
from harness.host import MachineHost

WHOLE, MIXED = "mi300x-8-spx", "mi300x-8-mixed"
DYNAMIC = {"featureGates.DynamicPartitioning": "true", "kubeletPlugin.repartition": "per-gpu"}


def _cluster(
    work: Path, *, fleet: str = WHOLE, kernel: bool = False, values: Mapping[str, str] | None = None
) -> Cluster:
    """One whose kubectl and helm are not there: who calls them fails."""
    pieces = Pieces(provider="podman", helm="/nowhere/helm", kubectl="/nowhere/kubectl")
    cluster = Cluster(MachineHost(work), pieces)
    cluster.installed = Installed(fleet=fleet, kernel=kernel, values=values or {})
    return cluster


def test_the_driver_that_is_asked_for_is_left_as_it_is(tmp_path: Path) -> None:
    """On a tree of files and on a fake kernel with the same GPUs; more values than those asked for do not matter."""
    for kernel in (False, True):
        cluster = _cluster(tmp_path, kernel=kernel, values={"a.b": "1", "image.tag": "x"})
        install_driver(cluster, f"{TREES}/{WHOLE}", a__b="1")
        remove_driver(cluster)


def test_the_fake_kernel_that_is_asked_for_is_left_as_it_is(tmp_path: Path) -> None:
    """With the driver's values for partitions by need."""
    cluster = _cluster(tmp_path, kernel=True, values=DYNAMIC)
    install_fake_kernel(cluster, WHOLE, delay=1)
    install_driver(cluster, KERNEL_TREE, featureGates__DynamicPartitioning="true", kubeletPlugin__repartition="per-gpu")
    remove_driver(cluster)
    remove_fake_kernel(cluster)


def test_other_gpus_are_named(tmp_path: Path) -> None:
    """What is needed, and what is there: other fake GPUs, none that can be switched, or real ones."""
    for cluster, kernel, said in (
        (_cluster(tmp_path, fleet=MIXED), False, f"needs .* --fleet={WHOLE}; .* is on fake GPUs {MIXED}$"),
        (_cluster(tmp_path), True, f"needs .* --fake --fleet={WHOLE}; .* is on fake GPUs {WHOLE} without a kernel$"),
        (_cluster(tmp_path, fleet=""), False, f"needs .* --fleet={WHOLE}; .* is on real GPUs$"),
    ):
        with pytest.raises(pytest.skip.Exception, match=said):
            require_fleet(cluster, WHOLE, kernel=kernel)


def test_more_nodes_than_one_are_named(tmp_path: Path) -> None:
    """A scenario that knows the GPUs knows those of one node."""
    cluster = _cluster(tmp_path)
    assert cluster.installed is not None
    assert knows_gpus(cluster)
    cluster.installed = replace(cluster.installed, nodes=3)
    assert not knows_gpus(cluster)

    with pytest.raises(pytest.skip.Exception, match=r"needs the GPUs of one node alone, and 3 nodes have some$"):
        require_fleet(cluster, WHOLE)


def test_a_value_that_is_missing_is_named(tmp_path: Path) -> None:
    """As it is given to install."""
    with pytest.raises(pytest.skip.Exception, match=r"install -- --set=a\.b=2$"):
        install_driver(_cluster(tmp_path, values={"a.b": "1"}), f"{TREES}/{WHOLE}", a__b="2")


@pytest.mark.parametrize("path", [*DYNAMIC, "kubeletPlugin.deviceNames", "kubeletPlugin.idleMode"])
def test_a_value_that_offers_other_devices_is_named(tmp_path: Path, path: str) -> None:
    """A scenario that does not ask for it would look for devices that are not there."""
    with pytest.raises(pytest.skip.Exception, match=f"install without --set={path}=x$"):
        install_driver(_cluster(tmp_path, values={path: "x"}), f"{TREES}/{WHOLE}")


def test_pods_of_scenarios_run_the_image_that_is_installed(tmp_path: Path) -> None:
    """From a registry it may be pulled; restart policies stay."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\ncat > {tmp_path}/given\n")
    kubectl.chmod(0o755)
    cluster = Cluster(MachineHost(tmp_path), Pieces(provider="kubeconfig", helm="", kubectl=str(kubectl)))
    manifest = f"image: {DEV_IMAGE}\nimagePullPolicy: Never\nrestartPolicy: Never\n"
    cluster.apply(manifest, "default")
    assert (tmp_path / "given").read_text() == manifest
    cluster.image = "r.example/p:1"
    cluster.apply(manifest, "default")

    expected = "image: r.example/p:1\nimagePullPolicy: IfNotPresent\nrestartPolicy: Never\n"
    assert (tmp_path / "given").read_text() == expected
