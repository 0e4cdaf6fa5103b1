"""What is in an image, as an SPDX 2.3 document."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from amdgpu_dra.core.release.artifact import Blob, Json, blob
from amdgpu_dra.core.release.components import Component

SPDX = "application/spdx+json"
_IMAGE = "SPDXRef-image"


def spdx(image: Json, components: Sequence[Component], *, name: str, version: str, created: str) -> Blob:
    """The document of an image.

    Args:
        image: descriptor of the index.
        components: everything in it, in any order.
        name: of the image's repository.
        version: of the image.
        created: time as RFC 3339; the commit's, so that the same input gives the same document.
    """
    ordered = sorted(components, key=lambda each: (each.name, each.purl))
    digest = image["digest"].removeprefix("sha256:")
    described = {
        "SPDXID": _IMAGE,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseDeclared": "Apache-2.0",
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "externalRefs": [_purl(f"pkg:oci/{name.rpartition('/')[2]}@sha256%3A{digest}")],
    }
    ids = [f"SPDXRef-{number}-{re.sub(r'[^A-Za-z0-9.-]', '-', each.name)}" for number, each in enumerate(ordered)]
    value = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name} {version}",
        "documentNamespace": f"urn:oci:sha256:{digest}",
        "creationInfo": {"created": created, "creators": ["Tool: amdgpu-dra-release"]},
        "documentDescribes": [_IMAGE],
        "packages": [described, *(_package(spdx_id, each) for spdx_id, each in zip(ids, ordered, strict=True))],
        "hasExtractedLicensingInfos": _other_licences(ordered),
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE),
            *(_related(_IMAGE, "CONTAINS", each) for each in ids),
        ],
    }
    return blob(SPDX, value)


def _package(spdx_id: str, each: Component) -> dict[str, Any]:
    note = {"comment": "One of these files, by platform."} if len(each.hashes) > 1 else {}
    return {
        "SPDXID": spdx_id,
        "name": each.name,
        "versionInfo": each.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "sourceInfo": each.origin,
        "licenseDeclared": each.licence or "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": value} for value in each.hashes],
        "externalRefs": [_purl(each.purl)],
        **note,
    }


def _purl(text: str) -> Mapping[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": text}


def _related(one: str, how: str, other: str) -> Mapping[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}


def _other_licences(components: Sequence[Component]) -> list[Mapping[str, str]]:
    """Those that SPDX has no name of: their text is in the image."""
    found = {name for each in components for name in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", each.licence)}
    text = "As the package's copyright file or metadata in the image says."
    return [{"licenseId": name, "extractedText": text} for name in sorted(found)]
