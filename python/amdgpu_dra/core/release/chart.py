"""A Helm chart as it is released: with its version, with the image's repository, and as an OCI artifact."""

import re
from collections.abc import Mapping

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.core.release.artifact import MANIFEST, Blob, blob, descriptor

_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
# As values.yaml of the source has it: nothing, and what to do about it.
_REPOSITORY = re.compile(r'(?m)(^image:\n)(?:  #.*\n)*  repository: ""$')


def with_version(chart: str, version: str) -> str:
    """Chart.yaml with this version and appVersion; every other byte stays.

    Raises:
        UsageError: it lacks one of the two.
    """
    for field in ("version", "appVersion"):
        chart, count = re.subn(rf"(?m)^{field}: .*$", f'{field}: "{version}"', chart)
        if count != 1:
            raise UsageError("Chart.yaml", expected=f"one line {field}:", found=f"{count}", action="add it")
    return chart


def with_repository(values: str, repository: str) -> str:
    """values.yaml with a default for image.repository; every other byte stays.

    Raises:
        UsageError: it has no empty one.
    """
    filled, count = _REPOSITORY.subn(rf'\1  repository: "{repository}"', values)
    if count != 1:
        raise UsageError(
            "values.yaml", expected='one empty image.repository: ""', found=f"{count}", action="leave it empty"
        )
    return filled


def chart_artifact(chart: Mapping[str, object], package: bytes, created: str) -> tuple[Blob, Blob, Blob]:
    """Manifest, configuration and content, as `helm pull oci://…` wants them.

    Args:
        chart: fields of Chart.yaml.
        package: the .tgz.
        created: time as RFC 3339.
    """
    config, content = blob(_CONFIG, dict(chart)), Blob(_CONTENT, package)
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config),
        "layers": [descriptor(content)],
        "annotations": {
            "org.opencontainers.image.created": created,
            "org.opencontainers.image.description": str(chart.get("description", "")),
            "org.opencontainers.image.title": str(chart["name"]),
            "org.opencontainers.image.version": str(chart["version"]),
        },
    }
    return blob(MANIFEST, value), config, content
