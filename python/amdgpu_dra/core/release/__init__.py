"""What a release consists of, as values: versions, stamped images, what is in them, and where that comes from.

Knows the forms of OCI, SPDX and SLSA. Refuses to know git, files and registries.
"""

from amdgpu_dra.core.release.artifact import (
    EMPTY,
    INDEX,
    MANIFEST,
    Blob,
    artifact,
    blob,
    descriptor,
    encode,
    referrers_tag,
    with_referrer,
)
from amdgpu_dra.core.release.chart import chart_artifact, with_repository, with_version
from amdgpu_dra.core.release.components import (
    Component,
    debian_component,
    debian_licences,
    locked_wheels,
    wheel_component,
)
from amdgpu_dra.core.release.provenance import Source, provenance
from amdgpu_dra.core.release.sbom import spdx
from amdgpu_dra.core.release.stamp import Stamped, stamp
from amdgpu_dra.core.release.version import version_of

__all__ = [
    "EMPTY",
    "INDEX",
    "MANIFEST",
    "Blob",
    "Component",
    "Source",
    "Stamped",
    "artifact",
    "blob",
    "chart_artifact",
    "debian_component",
    "debian_licences",
    "descriptor",
    "encode",
    "locked_wheels",
    "provenance",
    "referrers_tag",
    "spdx",
    "stamp",
    "version_of",
    "wheel_component",
    "with_referrer",
    "with_repository",
    "with_version",
]
