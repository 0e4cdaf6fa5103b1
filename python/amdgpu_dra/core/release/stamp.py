"""Images with the version and commit that they are of.

Stamped when they are pushed and not when they are built: a build is the same for every commit that changes nothing of
it, and the cache of layers and tests stays. Configuration, manifest and index change; layers do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amdgpu_dra.core.release.artifact import INDEX, MANIFEST, Blob, Json, blob, descriptor

_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """An index to push. What the layers are does not change; they lie where they lay.

    Attributes:
        configurations: one for each platform.
        manifests: the same.
        layers: descriptors, each once, first come first.
        index: of the manifests.
    """

    configurations: tuple[Blob, ...]
    manifests: tuple[Blob, ...]
    layers: tuple[Json, ...]
    index: Blob


def stamp(index: Json, read: Mapping[str, Json], labels: Mapping[str, str], environment: Mapping[str, str]) -> Stamped:
    """The index with these labels on each image, and as annotations on itself, and an environment for the programs.

    Args:
        index: of manifests.
        read: every manifest and configuration, by digest.
        labels: names of the image-spec's annotations and their values.
        environment: variables beside those that the images have.
    """
    configurations, manifests, described = [], [], []
    layers: dict[str, Json] = {}
    for item in index["manifests"]:
        manifest = read[item["digest"]]
        configuration = blob(_CONFIG, _told(read[manifest["config"]["digest"]], labels, environment))
        stamped = blob(MANIFEST, {**manifest, "config": descriptor(configuration)})
        configurations.append(configuration)
        manifests.append(stamped)
        described.append(descriptor(stamped, platform=item["platform"]))
        layers |= {layer["digest"]: layer for layer in manifest["layers"]}
    value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": described, "annotations": dict(labels)}
    return Stamped(
        configurations=tuple(configurations),
        manifests=tuple(manifests),
        layers=tuple(layers.values()),
        index=blob(INDEX, value),
    )


def _told(configuration: Json, labels: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, Any]:
    run = configuration["config"]
    variables = [*run.get("Env", ()), *(f"{name}={value}" for name, value in environment.items())]
    return {**configuration, "config": {**run, "Env": variables, "Labels": {**run.get("Labels", {}), **labels}}}
