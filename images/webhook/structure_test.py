"""What is in the webhook's image, and that it runs from its own root as the user that it names."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from layout import Layout, programs

from amdgpu_dra.edge.certificates import make_pair

IMAGE = Layout("images/webhook/image")
PLUGIN = Layout("images/kubelet_plugin/image")
MOST_BYTES = 75 * 10**6


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files, and a certificate where the flags look for one."""
    root = IMAGE.unpack_to_run(tmp_path_factory.mktemp("root"))
    (root / "certs").mkdir()
    pair = make_pair(("localhost",), datetime.now(UTC))
    for name, data in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (root / "certs" / name).write_bytes(data)
        (root / "certs" / name).chmod(0o644)
    root.chmod(0o755)
    return root


def test_configuration_says_what_runs() -> None:
    """The program is the entry point, and its user is not root."""
    config = IMAGE.configuration["config"]

    assert config["Entrypoint"] == ["/usr/bin/webhook"]
    assert config["User"] == "65532:65532"


def test_image_is_small() -> None:
    """All layers, compressed, are at most 75 MB, and the first is the plugin's own."""
    assert IMAGE.size <= MOST_BYTES
    assert IMAGE.manifest["layers"][0] == PLUGIN.manifest["layers"][0]


def test_the_plugin_has_neither_cel_nor_certificates() -> None:
    """What only the webhook needs is not in the plugin's image."""
    mine, plugins = ({member.name for member in image.members()} for image in (IMAGE, PLUGIN))

    for part in ("amdgpu_dra/core/cel/", "amdgpu_dra/core/admission/", "dist-packages/cryptography/"):
        assert any(part in name for name in mine), part
        assert not any(part in name for name in plugins), part


def test_programs_are_ours_and_python(root: Path) -> None:
    """No shell and no package manager."""
    assert programs(root) == ["python3", "python3.13", "webhook"]


def test_it_serves_as_its_user(root: Path) -> None:
    """Without any capability, from its own root; SIGTERM ends it well."""
    process = subprocess.Popen(
        ["/usr/sbin/chroot", "--userspec=65532:65532", str(root), "/usr/bin/webhook", "-port=0"],
        env=IMAGE.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    process.terminate()
    output, status = process.stderr.read(), process.wait(30)
    process.stderr.close()

    assert "serving on port" in line, line + output
    assert status == 0


def test_the_program_is_on_path(root: Path) -> None:
    """`webhook` tells its version; the maker of certificates finds its libraries, and says what it misses."""
    version = IMAGE.run(root, "webhook", "--version")
    made = IMAGE.run(root, "webhook", "certificate", "--secret=a/b", "--service=c", "--kubeconfig=/nowhere")

    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", version.stdout)
    assert made.stderr.startswith("webhook: kubeconfig /nowhere: expected credentials")
