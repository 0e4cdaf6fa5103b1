"""Pushes images: what is missing, first of all what others name, the tag last."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amdgpu_dra.apps.flags import VERSION_ENV
from amdgpu_dra.apps.release.options import Options, clean_checkout, open_registry
from amdgpu_dra.core.release import (
    EMPTY,
    Blob,
    Component,
    Source,
    Stamped,
    artifact,
    debian_component,
    debian_licences,
    descriptor,
    locked_wheels,
    provenance,
    spdx,
    stamp,
    version_of,
    wheel_component,
)
from amdgpu_dra.edge.release import Checkout, Layout, Registry, Repository, read_layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image to push: Bazel's target, its layout, and what the repository's name ends with."""

    target: str
    path: Path
    end: str


def push_images(
    options: Options,
    images: Sequence[Image],
    *,
    tag: str,
    locks: tuple[Path, Path],
    described: Mapping[str, Any],
) -> None:
    """Pushes each image as an index, its SBOM and its provenance; prints what stands where.

    Args:
        options: where to.
        images: which.
        tag: of each.
        locks: of Debian packages and of wheels.
        described: `source`, `builder` and `materials` (path in the checkout -> file) for the provenance.

    Raises:
        UsageError: the checkout is not clean, a layout is none, the registry refuses.
        NotReadyError: the registry does not answer.
    """
    checkout = clean_checkout(options)
    source = Source(
        revision=checkout.revision,
        uri=described["source"],
        builder=described["builder"],
        clean=not checkout.changed,
        materials={name: _sha256(Path(path)) for name, path in described["materials"].items()},
    )
    registry = open_registry(options)
    push = _Push(registry, checkout, source, locks)
    near = ""
    try:
        for image in images:
            repository = options.repository.beside(image.end)
            push.image(image, repository, tag, near)
            near = repository.name
    finally:
        registry.close()
    sent = registry.sent
    print(
        f"sent {sent.blobs} blobs and {sent.manifests} manifests, {sent.size / 1e6:.1f} MB; "
        f"{sent.present} were there, {sent.mounted} mounted"
    )


class _Push:
    """Pushes of one checkout to one registry."""

    def __init__(self, registry: Registry, checkout: Checkout, source: Source, locks: tuple[Path, Path]) -> None:
        self._registry, self._checkout, self._source, self._locks = registry, checkout, source, locks
        self._version = version_of(checkout.described)

    def image(self, image: Image, repository: Repository, tag: str, near: str) -> None:
        """One image; `near` is a repository that may have some of its layers."""
        layout = read_layout(image.path)
        labels = _labels(self._checkout, self._version, self._source.uri)
        stamped = stamp(layout.index, layout.read, labels, {VERSION_ENV: self._version})
        _push_index(self._registry, repository, (layout, stamped), near)
        subject, name, version = descriptor(stamped.index), str(repository), self._version
        components = _components(layout, *self._locks)
        # Before the tag: who finds the image finds these too.
        for document in (
            spdx(subject, components, name=name, version=version, created=self._checkout.time),
            provenance(subject, self._source, name=name, target=image.target, version=version),
        ):
            _attach(self._registry, repository, document, subject, self._checkout.time)
        self._registry.put_manifest(repository, stamped.index, tag)
        print(f"{repository}:{tag}@{subject['digest']}  version {version}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _labels(checkout: Checkout, version: str, source: str) -> dict[str, str]:
    name = "org.opencontainers.image."
    found = {f"{name}version": version, f"{name}revision": checkout.revision, f"{name}created": checkout.time}
    return found | ({f"{name}source": source} if source else {})


def _push_index(registry: Registry, repository: Repository, pair: tuple[Layout, Stamped], near: str) -> None:
    layout, stamped = pair
    for layer in stamped.layers:
        registry.put_blob(repository, layer, layout.blob(layer["digest"]), near)
    for configuration in stamped.configurations:
        registry.put_blob(repository, descriptor(configuration), configuration.data)
    for manifest in stamped.manifests:
        registry.put_manifest(repository, manifest)
    registry.put_manifest(repository, stamped.index)


def _attach(
    registry: Registry, repository: Repository, document: Blob, subject: Mapping[str, Any], created: str
) -> None:
    for content in (EMPTY, document):
        registry.put_blob(repository, descriptor(content), content.data)
    annotations = {"org.opencontainers.image.created": created}
    predicate = json.loads(document.data).get("predicateType")
    if predicate:
        annotations["in-toto.io/predicate-type"] = predicate
    registry.attach(repository, artifact(document, subject=subject, annotations=annotations), subject["digest"])


def _components(layout: Layout, debian_lock: Path, wheel_lock: Path) -> list[Component]:
    """Packages of both locks that the image has; both architectures of Debian's."""
    lock = json.loads(debian_lock.read_bytes())
    copyrights, wheels = layout.copyrights(), locked_wheels(wheel_lock.read_text())
    found = [
        debian_component(package, lock["suite"], debian_licences(copyrights[package["name"]]))
        for package in lock["packages"]
        if package["name"] in copyrights
    ]
    return found + [wheel_component(metadata, wheels) for metadata in layout.wheels()]
