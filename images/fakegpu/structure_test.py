"""What is in the image of the fake kernel, and that it runs from its own root: no container engine is needed."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from layout import Layout

IMAGE = Layout("images/fakegpu/image")
MOST_BYTES = 40 * 10**6
# In a mount namespace of its own, so that nothing is left mounted whatever happens.
MOUNT = """
set -e
mount -t proc proc "$0/proc"
/usr/sbin/chroot "$0" /usr/bin/fakegpu mount --fleet mi300x-8-spx --at /run/gpu --delay 0 &
until [ -S "$0/run/gpu/control" ]; do kill -0 $!; done
mode="$0/run/gpu/sys/bus/pci/devices/0000:05:00.0/current_compute_partition"
cat "$mode"
echo CPX > "$mode"
cat "$mode"
ls "$0/run/gpu/sys/class/kfd/kfd/topology/nodes" | wc -l
/usr/sbin/chroot "$0" /usr/bin/fakegpu control --at /run/gpu hold 4711 0000:05:00.0
echo SPX > "$mode" || echo refused
kill $!
wait $!
ls "$0/run/gpu/sys" | wc -l
"""


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files, with the devices that a privileged container has."""
    return IMAGE.unpack_to_run(tmp_path_factory.mktemp("root"), ("fuse", 10, 229))


def _run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--mount", *command, str(root)],
        env=IMAGE.environment | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_image_is_small() -> None:
    """All layers, compressed, are at most 40 MB: no gRPC, no API client."""
    assert IMAGE.size <= MOST_BYTES


def test_configuration_says_what_runs() -> None:
    """The program is the entry point, and libfuse is where the image has it."""
    library = IMAGE.environment["FUSE_LIBRARY_PATH"]
    with_library = [layer for layer in IMAGE.manifest["layers"] if _has(layer["digest"], library)]

    assert IMAGE.configuration["config"]["Entrypoint"] == ["/usr/bin/fakegpu"]
    assert len(with_library) == 1


def _has(digest: str, path: str) -> bool:
    with tarfile.open(IMAGE.blob(digest)) as tar:
        return path.lstrip("/") in tar.getnames()


def test_the_program_mounts_from_its_own_root(root: Path) -> None:
    """A mode can be read and written, a held GPU refuses, and a signal takes the mount away."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("mounting a fake kernel needs FUSE")
    done = _run(root, "bash", "-c", MOUNT)

    said = [line for line in done.stdout.splitlines() if "GPUs in" not in line]
    assert said == ["SPX", "CPX", "17", "ok", "refused", "0"], done.stderr
