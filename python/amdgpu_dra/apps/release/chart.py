"""Packs the chart, the same bytes for the same input, and pushes it as Helm does."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from amdgpu_dra.apps.release.options import Options, clean_checkout, open_registry
from amdgpu_dra.core.release import chart_artifact, descriptor, version_of, with_repository, with_version
from amdgpu_dra.edge.release import Repository, parse_repository, parse_tag, read_package

_STATUS = "STABLE_GIT_DESCRIBE "


def package(files: Sequence[Path], *, status: str, version: str, repository: str) -> bytes:
    """The .tgz of a chart.

    Args:
        files: of the chart, with Chart.yaml at their root.
        status: Bazel's stable status, with what git describes.
        version: instead of that; empty: from `status`, or as Chart.yaml has it where that says nothing.
        repository: default of image.repository; empty: none.

    Raises:
        UsageError: a repository that is none, or a chart that lacks what is to be written.
    """
    (root,) = {path.parent for path in files if path.name == "Chart.yaml"}
    version = version or _of_status(status)
    changed = {"Chart.yaml": lambda text: with_version(text, version)} if version else {}
    if repository:
        parse_repository(repository)
        changed["values.yaml"] = lambda text: with_repository(text, repository)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        # Chart.yaml first: Helm need not read on to know what it has.
        for path in sorted(files, key=lambda each: (each.name != "Chart.yaml", str(each))):
            name = str(path.relative_to(root))
            data = changed.get(name, str)(path.read_text()).encode()
            info = tarfile.TarInfo(f"{root.name}/{name}")
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), compresslevel=9, mtime=0)


def _of_status(status: str) -> str:
    """The version of the checkout; empty where Bazel ran outside of one, such as in an unpacked archive."""
    for line in status.splitlines():
        if line.startswith(_STATUS) and (described := line.removeprefix(_STATUS).strip()):
            return version_of(described)
    return ""


def push_chart(options: Options, packed: Path) -> None:
    """Pushes a packed chart to REPOSITORY/NAME:VERSION, where `helm push` would put it; prints what stands where.

    Raises:
        UsageError: the checkout is not clean, the package is none, the registry refuses.
        NotReadyError: the registry does not answer.
    """
    checkout = clean_checkout(options)
    chart, data = read_package(packed)
    repository = Repository(options.repository.host, f"{options.repository.name}/{chart['name']}")
    tag = parse_tag(str(chart["version"]).replace("+", "_"))
    manifest, config, content = chart_artifact(chart, data, checkout.time)
    registry = open_registry(options)
    try:
        for each in (config, content):
            registry.put_blob(repository, descriptor(each), each.data)
        registry.put_manifest(repository, manifest, tag)
    finally:
        registry.close()
    print(f"oci://{repository}:{tag}@{descriptor(manifest)['digest']}")
