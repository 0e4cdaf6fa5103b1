"""Trees on disk: what is written is read again, and nothing else is written over."""

import os
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import HostError, UsageError
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import DeviceNode, parse
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet, write_tree
from amdgpu_dra.edge.sysfs import DeviceRoot, read_tree

KFD = DeviceNode(path="kfd", major=235, minor=0)


@pytest.mark.parametrize("name", [name for name in bundled_fleets() if "broken" not in name])
def test_a_written_tree_reads_as_it_was_rendered(name: str, tmp_path: Path) -> None:
    """Reading from disk gives the inventory of the rendered tree, but for the links that are read on demand."""
    tree = render(read_fleet(name))
    write_tree(tree, tmp_path, nodes=False)

    assert parse(tree) == parse(read_tree(str(tmp_path / "sys"), every_link=True))


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    """A folder that was not written here is refused, and keeps what it holds."""
    (tmp_path / "precious").write_text("x")

    with pytest.raises(UsageError, match="something else"):
        write_tree(render(read_fleet("mi350x-vf")), tmp_path, nodes=False)
    assert (tmp_path / "precious").read_text() == "x"


def test_a_sysfs_root_that_is_absent_is_a_clear_error(tmp_path: Path) -> None:
    """No traceback, but where, what and what to do."""
    with pytest.raises(HostError, match=r"sysfs root .*none: expected .*--sysfs-root"):
        read_tree(str(tmp_path / "none"))


def test_real_nodes_must_agree_with_sysfs(tmp_path: Path) -> None:
    """As root the tree has character devices; one with other numbers, or none, is refused by name."""
    if os.geteuid() != 0:
        pytest.skip("making device nodes needs root")
    write_tree(render(read_fleet("mi350x-vf")), tmp_path, nodes=True)
    root = DeviceRoot(str(tmp_path / "dev"))

    root.check(KFD)
    with pytest.raises(HostError, match=r"kfd: expected the character device 236:0 .* found a device 235:0"):
        root.check(DeviceNode(path="kfd", major=236, minor=0))
    with pytest.raises(HostError, match=r"renderD200: .*nothing"):
        root.check(DeviceNode(path="dri/renderD200", major=226, minor=200))


def test_ordinary_files_serve_only_where_they_are_allowed(tmp_path: Path) -> None:
    """Without root the tree has ordinary files and a marker; they are refused unless the flag allows them."""
    write_tree(render(read_fleet("mi350x-vf")), tmp_path, nodes=False)
    dev = str(tmp_path / "dev")

    with pytest.raises(HostError, match="found a file of mode -rw"):
        DeviceRoot(dev).check(KFD)
    DeviceRoot(dev, allow_fake=True).check(KFD)


def test_fake_nodes_are_never_allowed_on_a_real_node(tmp_path: Path) -> None:
    """/dev, a link to it, and a folder without the marker are refused."""
    link = tmp_path / "link"
    link.symlink_to("/dev")

    for root in ("/dev", "/dev/", str(link), str(tmp_path)):
        with pytest.raises(UsageError, match="--allow-fake-device-nodes"):
            DeviceRoot(root, allow_fake=True)


@pytest.mark.parametrize("text", ["a: [", "- 1", "name: x"])
def test_a_fleet_file_that_is_none_is_a_clear_error(text: str, tmp_path: Path) -> None:
    """No YAML, no mapping, missing fields: one line that names the file."""
    path = tmp_path / "fleet.yaml"
    path.write_text(text)

    with pytest.raises(UsageError, match=r"fleet .*fleet\.yaml: expected a fleet in YAML, found"):
        read_fleet(str(path))
