"""What is in the image, on its layout on disk: no container engine is needed."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest
from layout import Layout, programs

IMAGE = Layout("images/kubelet_plugin/image")
MOST_BYTES = 75 * 10**6
TEST_CODE = re.compile(r".*/(tests?|amdgpu_dra/testing)/.*|.*_test\.py|.*/lib-dynload/_?(ctypes_)?(test|xx).*")
LOAD_ALL = """
import ctypes, pathlib
for path in pathlib.Path("/usr/lib").rglob("*.so*"):
    ctypes.CDLL(str(path))
import aiohttp, grpc, sqlite3, ssl, yaml
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
print("loaded")
"""


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files."""
    return IMAGE.unpack(tmp_path_factory.mktemp("root"))


@pytest.fixture(name="own_root", scope="module")
def _own_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a root that programs run in."""
    return IMAGE.unpack_to_run(tmp_path_factory.mktemp("own"))


def test_configuration_says_what_runs() -> None:
    """Entry point, platform and user; no user means root, which the README explains."""
    config = IMAGE.configuration

    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["Entrypoint"] == ["/usr/bin/gpu-kubeletplugin"]
    assert config["config"].get("User", "") == ""
    assert IMAGE.environment["PATH"] == "/usr/bin"


def test_layers_are_what_the_configuration_says() -> None:
    """Each layer's uncompressed hash is the one that container runtimes will check."""
    unpacked = [gzip.decompress(IMAGE.blob(layer["digest"]).read_bytes()) for layer in IMAGE.manifest["layers"]]

    found = ["sha256:" + hashlib.sha256(data).hexdigest() for data in unpacked]
    assert IMAGE.configuration["rootfs"]["diff_ids"] == found


def test_image_is_small() -> None:
    """All layers, compressed, are at most 75 MB."""
    assert IMAGE.size <= MOST_BYTES


def test_nobody_may_write_what_is_in_it() -> None:
    """In the layers' own headers: no write bit for group or world, no set-uid, all owned by root, no times."""
    loose = [member.name for member in IMAGE.members() if not member.issym() and member.mode & 0o6022]
    owners = {(member.uid, member.gid, member.mtime) for member in IMAGE.members()}

    assert loose == []
    assert owners == {(0, 0, 0)}


def test_nothing_but_files_folders_and_links() -> None:
    """No device nodes, no pipes, no hard links."""
    odd = [member.name for member in IMAGE.members() if not (member.isreg() or member.isdir() or member.issym())]

    assert odd == []


def test_no_test_code() -> None:
    """Neither ours, nor Python's, nor of third parties."""
    assert [member.name for member in IMAGE.members() if TEST_CODE.fullmatch(member.name)] == []


def test_programs_are_ours_and_python(root: Path) -> None:
    """No shell and no package manager: python and the plugin are the only programs."""
    assert programs(root) == ["gpu-kubeletplugin", "python3", "python3.13"]


def test_links_lead_somewhere(root: Path) -> None:
    """Every symbolic link ends at something that is in the image."""
    broken = []
    for path in root.rglob("*"):
        if path.is_symlink():
            target = path.readlink()
            if not (root / target.relative_to("/") if target.is_absolute() else path.parent / target).exists():
                broken.append((path, target))

    assert broken == []


def test_users_cannot_log_in(root: Path) -> None:
    """Root and one other, without a shell."""
    rows = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]

    assert [(row[0], row[2], row[6]) for row in rows] == [
        ("root", "0", "/usr/sbin/nologin"),
        ("nonroot", "65532", "/usr/sbin/nologin"),
    ]


def test_licences_are_kept(root: Path) -> None:
    """Every Debian package brings its copyright file, every wheel its metadata."""
    packages = json.loads(Path("images/base/packages_lock.json").read_text())["packages"]
    missing = [
        package["name"]
        for package in packages
        if package["architecture"] == "amd64" and not (root / f"usr/share/doc/{package['name']}/copyright").exists()
    ]

    assert missing == []
    wheels = {path.name.split("-")[0] for path in (root / "usr/lib/python3/dist-packages").glob("*.dist-info")}
    assert {"grpcio", "protobuf", "aiohttp"} <= wheels


def test_no_client_of_everything(root: Path) -> None:
    """The official client stays out: its models are most of what it would weigh, in the image and in memory."""
    assert not (root / "usr/lib/python3/dist-packages/kubernetes").exists()


def test_every_module_is_compiled(root: Path) -> None:
    """Start-up compiles nothing: each module of ours has its .pyc beside it."""
    for module in (root / "usr/lib/amdgpu-dra").rglob("*.py"):
        assert (module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc").is_file(), module


def test_every_library_loads(own_root: Path) -> None:
    """With nothing of the machine: every shared library and extension module finds what it needs, and so does TLS."""
    done = IMAGE.run(own_root, "python3.13", "-I", "-W", "ignore", "-c", LOAD_ALL)

    assert (done.stdout, done.stderr) == ("loaded\n", "")


def test_the_program_is_on_path(own_root: Path) -> None:
    """`gpu-kubeletplugin`, found on PATH, tells its version, and refuses a wrong flag with one line."""
    version = IMAGE.run(own_root, "gpu-kubeletplugin", "--version")
    wrong = IMAGE.run(own_root, "gpu-kubeletplugin", "-node-nam=n")

    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", version.stdout)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
    assert "did you mean --node-name?" in wrong.stderr
