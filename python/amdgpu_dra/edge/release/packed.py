"""A packed Helm chart."""

import io
import tarfile
from pathlib import Path
from typing import Any

import yaml

from amdgpu_dra.api.errors import UsageError


def read_package(path: Path) -> tuple[dict[str, Any], bytes]:
    """Fields of its Chart.yaml, and its bytes.

    Raises:
        UsageError: it is no chart.
    """
    try:
        data = path.read_bytes()
        fields = _chart(data)
    except (OSError, ValueError, tarfile.TarError, yaml.YAMLError) as error:
        raise UsageError(
            f"{path}", expected="a packed chart", found=str(error), action="build //charts:package"
        ) from error
    return fields, data


def _chart(data: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = [each for each in tar.getnames() if each.count("/") == 1 and each.endswith("/Chart.yaml")]
        file = tar.extractfile(names[0]) if names else None
        fields = yaml.safe_load(file.read()) if file else None
    if not isinstance(fields, dict) or not {"name", "version"} <= fields.keys():
        raise ValueError("no Chart.yaml with name and version")
    return fields
