"""The commands as a newcomer runs them, on a real cluster: each says what to run next, and nothing is left."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from harness.commands.session import open_session
from harness.host import Pieces, cache_folder, find_pieces
from harness.state import Place
from harness.ways import lab_name

NAME, OTHER = "commands-test", "commands-test-there"
FOLDER = cache_folder() / "kind" / NAME
REFUSED = 2


def _start(*command: str, before: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
    """A command as `bazel run` starts it; `before` stands before its program."""
    given = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1", **environment}
    return subprocess.Popen(
        [*before, sys.executable, "e2e/kind/main.py", *command],
        env={**os.environ, **given},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(*command: str, status: int = 0, before: Sequence[str] = (), **environment: str) -> str:
    """What a command says; it has to end with this status."""
    process = _start(*command, before=before, **environment)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == status, said
    print(said)
    return said


def _left(pieces: Pieces) -> list[str]:
    """All that is there of the clusters of this file: cgroups, processes, mounts, folders, and nodes of Docker."""
    cgroup = lab_name(FOLDER)
    found = [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{cgroup}*")]
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            found += [str(path)] if cgroup in path.read_text() else []
        except OSError:
            continue
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if NAME in line]
    if pieces.provider == "docker":
        label = f"label=io.x-k8s.kind.cluster={NAME}"
        found += subprocess.check_output(("docker", "ps", "--all", "--quiet", "--filter", label), text=True).split()
    inside = Path(pieces.host) / FOLDER.relative_to("/") if pieces.host else FOLDER
    found += [str(path) for path in (FOLDER, FOLDER.with_name(OTHER), inside) if path.exists()]
    return found


@pytest.fixture(name="pieces")
def _pieces() -> Iterator[Pieces]:
    """Of this machine; nothing of an earlier run is there before a test, and nothing is left after it."""
    pieces = find_pieces()
    _clear(pieces)
    assert _left(pieces) == []
    yield pieces
    left = _left(pieces)
    _clear(pieces)
    assert left == []


def _clear(pieces: Pieces) -> None:
    """Takes away what a test that failed has left. The other cluster is part of the first."""
    if _left(pieces):
        shutil.rmtree(FOLDER.with_name(OTHER), ignore_errors=True)
        with _start("delete", f"--name={NAME}") as process:
            process.communicate(timeout=120)


def _passed(said: str) -> int:
    """How many scenarios passed, of what `test` says."""
    summary = said.rpartition(" passed")[0].split()
    return int(summary[-1].lstrip("=")) if summary else 0


def test_from_nothing_to_nothing(pieces: Pieces) -> None:
    """create, load, install, test, delete: by kind, and by KUBECONFIG on the cluster that kind made."""
    named = f"--name={NAME}"
    said = _run("create", named)
    assert f"kind with {pieces.provider}" in said
    assert "1 node, 1 ready, resource.k8s.io: v1" in said
    assert f"//e2e/kind:load -- {named}" in said
    assert "Ready" in _run("kubectl", named, "get", "nodes")
    assert "expected none of this name" in _run("create", named, status=REFUSED)
    assert "load has not run" in _run("install", named, status=REFUSED)

    assert f"//e2e/kind:install -- {named}" in _run("load", named)
    _by_kubeconfig()
    said = _run("install", named)
    assert f"Node {NAME}-control-plane offers 8 devices of the fake GPUs mi300x-8-spx." in said
    assert f"//e2e/kind:test -- {named}" in said
    said = _run("test", named, "-k", "test_one_gpu_in_one_pod or mixed")
    assert _passed(said) == 1
    assert "needs //e2e/kind:install -- --fleet=mi300x-8-mixed; the driver that is installed is on fake GPUs" in said
    said = _run("install", named, "--set=image.tag=none", "--set=image.pullPolicy=Never", status=1)
    assert "ErrImageNeverPull" in said
    assert "taking the change back" in said
    _run("delete", named)
    assert _left(pieces) == []
    assert "found none" in _run("delete", named, status=REFUSED)


def _by_kubeconfig() -> None:
    """The same on a cluster that is there, whose node's tree stands for GPUs of its own: nothing is made or left."""
    there = f"--name={OTHER}"
    host = open_session(Place(NAME)).cluster.host
    before, kubeconfig = host.in_network(), f"{FOLDER}/kubeconfig"

    def run(*command: str, status: int = 0) -> str:
        return _run(*command, there, status=status, before=before, KUBECONFIG=kubeconfig)

    said = run("create", "--way=kubeconfig")
    assert "1 node, 1 ready, resource.k8s.io: v1" in said
    assert "//images:push" in said
    assert "whose nodes pull their images from a registry" in run("load", status=REFUSED)
    assert "--image: expected REGISTRY/REPOSITORY:TAG" in run("install", status=REFUSED)
    roots = (
        f"kubeletPlugin.{root}Path=/fake-gpu/mi300x-8-spx/{name}" for root, name in (("sysfs", "sys"), ("dev", "dev"))
    )
    said = run("install", "--image=localhost/amdgpu-dra/kubelet-plugin:dev", *(f"--set={root}" for root in roots))
    assert f"Node {NAME}-control-plane offers 8 devices." in said
    said = run("test", "-k", "one_gpu or two_gpus or slices_show or update_while")
    assert _passed(said) == 2
    assert "the driver that is installed is on real GPUs" in said
    run("delete")
    deadline = time.monotonic() + 90
    # Namespaces of scenarios end in the background.
    while left := _foreign_objects():
        assert time.monotonic() < deadline, left
        time.sleep(1)


def _foreign_objects() -> set[str]:
    """What there is in the cluster that kind has not made."""
    found = _run("kubectl", f"--name={NAME}", "get", "namespaces,deviceclasses,resourceslices", "-o", "name")
    names = ("default", "kube-node-lease", "kube-public", "kube-system", "local-path-storage")
    return set(found.split()) - {f"namespace/{name}" for name in names}


def _wait_started(process: subprocess.Popen[str]) -> None:
    """Until a `create` has started what holds the cluster, and makes that."""
    deadline = time.monotonic() + 60
    while not (FOLDER / "trees").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_create_that_was_killed_can_be_deleted(pieces: Pieces) -> None:
    """What it left is refused by every command, named as half made, and taken away wholly."""
    with _start("create", f"--name={NAME}") as process:
        _wait_started(process)
        process.kill()
    for command in ("create", "load", "install", "test"):
        assert "half made" in _run(command, f"--name={NAME}", status=REFUSED)
    assert _left(pieces) != []
    _run("delete", f"--name={NAME}")

    assert _left(pieces) == []


def test_a_create_that_is_interrupted_leaves_nothing(pieces: Pieces) -> None:
    """SIGTERM, as Ctrl-C: it takes away what it made before it ends."""
    with _start("create", f"--name={NAME}") as process:
        _wait_started(process)
        process.terminate()
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert "taking away what was made" in said
    assert _left(pieces) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, "KUBECONFIG: expected a kubeconfig whose current context names a cluster"),
        (
            {
                "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "users": [{"name": "a", "user": {"token": "t"}}],
                "current-context": "a",
            },
            "127.0.0.1:1 was refused",
        ),
    ],
    ids=["no context", "no server"],
)
def test_a_kubeconfig_that_leads_to_no_cluster(
    pieces: Pieces, tmp_path: Path, content: dict[str, object], found: str
) -> None:
    """It says what was found, and keeps nothing."""
    path = tmp_path / "config"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **content}))

    assert found in _run("create", "--way=kubeconfig", f"--name={NAME}", status=REFUSED, KUBECONFIG=str(path))
    assert _left(pieces) == []
