"""OCI descriptors, artifacts and lists of referrers (image-spec 1.1, distribution-spec 1.1)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"

type Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with their media type."""

    media_type: str
    data: bytes


# What an artifact has in place of a configuration.
EMPTY = Blob(_EMPTY_TYPE, b"{}")


def encode(value: Any) -> bytes:
    """JSON of which the same value has the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def blob(media_type: str, value: Any) -> Blob:
    """A JSON value as a blob."""
    return Blob(media_type, encode(value))


def descriptor(content: Blob, **more: Any) -> dict[str, Any]:
    """What others name a blob by: type, digest and size, and these further fields."""
    digest = f"sha256:{hashlib.sha256(content.data).hexdigest()}"
    return {"mediaType": content.media_type, "digest": digest, "size": len(content.data), **more}


def artifact(content: Blob, *, subject: Json, annotations: Mapping[str, str]) -> Blob:
    """The manifest of one blob that says something about `subject`, a descriptor."""
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": content.media_type,
        "config": descriptor(EMPTY),
        "layers": [descriptor(content)],
        "subject": {name: subject[name] for name in ("mediaType", "digest", "size")},
        "annotations": dict(annotations),
    }
    return blob(MANIFEST, value)


def referrers_tag(digest: str) -> str:
    """The tag that lists the referrers of a digest where a registry has no API for that."""
    return digest.replace(":", "-")


def with_referrer(listed: Json | None, manifest: Blob) -> Blob | None:
    """The list under that tag with one more referrer; None if it is there already.

    Args:
        listed: the index that is there; None if there is none.
        manifest: of an artifact.
    """
    value = json.loads(manifest.data)
    new = descriptor(manifest, artifactType=value["artifactType"], annotations=value["annotations"])
    found = list(listed["manifests"]) if listed else []
    if any(item["digest"] == new["digest"] for item in found):
        return None
    return blob(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*found, new]})
