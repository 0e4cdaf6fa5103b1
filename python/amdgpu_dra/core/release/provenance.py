"""Where an image comes from: an in-toto statement with SLSA's provenance, version 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from amdgpu_dra.core.release.artifact import Blob, Json, blob

IN_TOTO = "application/vnd.in-toto+json"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:amdgpu-dra:bazelw:v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The checkout that an image was built from.

    Attributes:
        revision: its commit.
        uri: where others find it; empty if nobody said.
        builder: who built it, as a URI.
        clean: whether the files were those of the commit.
        materials: path in the checkout -> SHA-256 in hex, of the files that pin what else went in.
    """

    revision: str
    uri: str
    builder: str
    clean: bool
    materials: Mapping[str, str]


def provenance(image: Json, source: Source, *, name: str, target: str, version: str) -> Blob:
    """The statement about an image.

    Args:
        image: descriptor of the index.
        source: that it was built from.
        name: of the image's repository.
        target: of Bazel.
        version: of the image.
    """
    commit = {"uri": f"git+{source.uri}@{source.revision}"} if source.uri else {"name": "source"}
    pins = [{"name": path, "digest": {"sha256": value}} for path, value in sorted(source.materials.items())]
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": image["digest"].removeprefix("sha256:")}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"target": target, "version": version, "clean": source.clean},
                "resolvedDependencies": [{**commit, "digest": {"gitCommit": source.revision}}, *pins],
            },
            "runDetails": {"builder": {"id": source.builder}},
        },
    }
    return blob(IN_TOTO, value)
