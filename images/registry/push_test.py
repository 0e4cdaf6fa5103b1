"""Our images, pushed to a real registry: what is read back is what was built."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amdgpu_dra.apps.release import main
from amdgpu_dra.edge.release import Credentials, Registry, Repository, read_layout
from amdgpu_dra.testing.registry import registry

INDEXES = {"": "images/kubelet_plugin/index", "-webhook": "images/webhook/index"}
LOCK = Path("images/base/packages_lock.json")


@pytest.fixture(name="pushed", scope="module")
def _pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host of a registry with both images."""
    folder = tmp_path_factory.mktemp("registry")
    checkout = tmp_path_factory.mktemp("checkout")
    git = ["git", "-C", checkout, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"], ["tag", "v1.2.3"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    images = [f"--image=//x:index={path}={end}" for end, path in INDEXES.items()]
    locks = [f"--debian-lock={LOCK}", "--wheel-lock=python/requirements_lock.txt"]
    with registry(folder) as host:
        arguments = ["images", *images, *locks, "--plain-http", f"{host}/gpu/plugin", "v1.2.3"]
        assert main(arguments, {"BUILD_WORKSPACE_DIRECTORY": str(checkout), "HOME": str(checkout)}) == 0
        yield host


@pytest.fixture(name="reader")
def _reader(pushed: str) -> Iterator[Registry]:
    found = Registry(Repository(pushed, "any"), Credentials(), plain_http=True)
    yield found
    found.close()


def _index(reader: Registry, repository: Repository) -> tuple[str, Any]:
    data = reader.get_manifest(repository, "v1.2.3")
    assert data is not None
    return f"sha256:{hashlib.sha256(data).hexdigest()}", json.loads(data)


@pytest.mark.parametrize("end", INDEXES)
def test_what_was_built_is_what_is_there(end: str, pushed: str, reader: Registry) -> None:
    """Both platforms, every layer by digest and byte; configurations differ by labels alone."""
    layout, repository = read_layout(Path(INDEXES[end])), Repository(pushed, f"gpu/plugin{end}")
    _, index = _index(reader, repository)

    assert [each["platform"] for each in index["manifests"]] == [each["platform"] for each in layout.index["manifests"]]
    for there, here in zip(index["manifests"], layout.index["manifests"], strict=True):
        data = reader.get_manifest(repository, there["digest"])
        assert data is not None
        manifest, built = json.loads(data), layout.read[here["digest"]]
        assert manifest["layers"] == built["layers"]
        for layer in manifest["layers"]:
            assert reader.get_blob(repository, layer["digest"]) == layout.blob(layer["digest"]).read_bytes()
        config = json.loads(reader.get_blob(repository, manifest["config"]["digest"]))
        labels = config["config"].pop("Labels")
        assert config["config"]["Env"].pop() == "AMDGPU_DRA_VERSION=1.2.3"
        expected = json.loads(json.dumps(layout.read[built["config"]["digest"]]))
        assert expected["config"].pop("Labels").items() <= labels.items()
        assert labels["org.opencontainers.image.version"] == "1.2.3"
        assert config == expected


@pytest.mark.parametrize(("end", "wheels"), [("", {"grpcio", "aiohttp"}), ("-webhook", {"cryptography", "aiohttp"})])
def test_the_sbom_names_every_package(end: str, wheels: set[str], pushed: str, reader: Registry) -> None:
    """Each Debian package of the lock for both architectures, each wheel of the image; most with a licence."""
    repository = Repository(pushed, f"gpu/plugin{end}")
    digest, _ = _index(reader, repository)
    (found,) = [
        each for each in reader.referrers(repository, digest) if each["artifactType"] == "application/spdx+json"
    ]
    manifest = json.loads(reader.get_manifest(repository, found["digest"]) or b"")
    document = json.loads(reader.get_blob(repository, manifest["layers"][0]["digest"]))
    purls = {each["externalRefs"][0]["referenceLocator"] for each in document["packages"]}
    locked = json.loads(LOCK.read_text())["packages"]

    assert len([each for each in purls if each.startswith("pkg:deb/")]) == len(locked)
    assert wheels <= {
        each.removeprefix("pkg:pypi/").partition("@")[0] for each in purls if each.startswith("pkg:pypi/")
    }
    assert not any("pytest" in each for each in purls)
    unknown = [each["name"] for each in document["packages"] if each["licenseDeclared"] == "NOASSERTION"]
    assert len(unknown) < len(document["packages"]) / 2, unknown
    assert all(each["checksums"] for each in document["packages"])
