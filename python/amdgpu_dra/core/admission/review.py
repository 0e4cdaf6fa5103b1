"""One AdmissionReview: read, judged, answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from amdgpu_dra.api.config import API_VERSION, FieldError, decode_config
from amdgpu_dra.core.admission.places import HOLDERS, find_configs, find_requests, find_selectors
from amdgpu_dra.core.admission.selectors import check_class, check_request
from amdgpu_dra.core.admission.text import read_json
from amdgpu_dra.core.slices import DRIVER

_VERSION, _KIND = "admission.k8s.io/v1", "AdmissionReview"
_OBJECT_KINDS = {
    "deviceclasses": "DeviceClass",
    "resourceclaims": "ResourceClaim",
    "resourceclaimtemplates": "ResourceClaimTemplate",
}
# The API server cuts all warnings of a request at 4096 characters (warning.go).
_MOST_WARNINGS, _LONGEST_WARNING = 12, 300
_MOST_ERRORS = 32
_MOST_SELECTED = 32 * 1024
_INVALID = 422


class ReviewError(ValueError):
    """What came is no AdmissionReview that can be answered; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Every error, and every warning, of an object."""

    errors: tuple[FieldError, ...] = ()
    warnings: tuple[str, ...] = ()


_FINE = Judgement()


def answer(text: bytes) -> dict[str, object]:
    """The AdmissionReview that answers one, as JSON values.

    Raises:
        ReviewError: it is no AdmissionReview of admission.k8s.io/v1 with a request and a UID.
    """
    request = _request(text)
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise ReviewError("request.uid: expected a text, found none; without it the API server takes no answer")
    judgement = judge(request)
    response: dict[str, object] = {"uid": uid, "allowed": not judgement.errors}
    if judgement.errors:
        response["status"] = _status(request, judgement.errors)
    if judgement.warnings:
        response["warnings"] = [warning[:_LONGEST_WARNING] for warning in judgement.warnings[:_MOST_WARNINGS]]
    return {"apiVersion": _VERSION, "kind": _KIND, "response": response}


def find_defect() -> str | None:
    """What is wrong with this judge itself, found by reviews whose answers are known; None while it is right."""
    for parameters, allowed in _KNOWN:
        config = {"opaque": {"driver": DRIVER, "parameters": parameters}}
        found = judge({**_SAMPLE, "object": {"spec": {"devices": {"config": [config]}}}})
        if (not found.errors) is not allowed:
            return (
                f"a configuration that is {'right' if allowed else 'wrong'} was {'refused' if allowed else 'allowed'}"
            )
    return None


_KNOWN = (({"apiVersion": API_VERSION, "kind": "GpuConfig"}, True), ({"kind": "none"}, False))
_SAMPLE = {"operation": "CREATE", "resource": {"group": "resource.k8s.io", "resource": "resourceclaims"}}


def judge(request: Mapping[str, object]) -> Judgement:
    """What is wrong with the object of a request; nothing if it is none of ours to look at.

    Args:
        request: the `request` of an AdmissionReview.
    """
    resource, raw = _resource(request), request.get("object")
    if resource not in HOLDERS or request.get("operation") not in {"CREATE", "UPDATE"} or not isinstance(raw, Mapping):
        return _FINE
    if request.get("operation") == "UPDATE" and _unchanged(raw, request.get("oldObject")):
        return _FINE
    errors = [
        error
        for config in find_configs(resource, raw)
        if config.driver == DRIVER
        for error in decode_config(config.parameters, config.path)
    ]
    warnings = [
        warning for item in find_requests(resource, raw) for warning in check_request(item.class_name, item.selectors)
    ]
    if resource == "deviceclasses":
        warnings += check_class(find_selectors(raw))
    return Judgement(errors=tuple(errors), warnings=tuple(dict.fromkeys(warnings)))


def _unchanged(raw: Mapping[str, object], old: object) -> bool:
    """Whether an update leaves the spec alone, or the object is on its way out: old objects keep what they have."""
    metadata = raw.get("metadata")
    leaving = isinstance(metadata, Mapping) and metadata.get("deletionTimestamp") is not None
    return leaving or (isinstance(old, Mapping) and old.get("spec") == raw.get("spec"))


def _request(text: bytes) -> Mapping[str, object]:
    try:
        raw = read_json(text)
    except ValueError as error:
        raise ReviewError(f"body: expected JSON, found {error}") from error
    if not isinstance(raw, Mapping) or (raw.get("apiVersion"), raw.get("kind")) != (_VERSION, _KIND):
        raise ReviewError(f"body: expected an {_KIND} of {_VERSION}")
    request = raw.get("request")
    if not isinstance(request, Mapping):
        raise ReviewError("request: expected an object")
    return request


def _resource(request: Mapping[str, object]) -> str:
    """The plural name, if it is one of Kubernetes' DRA resources."""
    found = request.get("resource")
    if not isinstance(found, Mapping) or found.get("group") != "resource.k8s.io":
        return ""
    return str(found.get("resource"))


def _status(request: Mapping[str, object], errors: tuple[FieldError, ...]) -> dict[str, object]:
    """As the API server's own validation tells it (field.ErrorList -> metav1.Status)."""
    kind = _OBJECT_KINDS[_resource(request)]
    name = str(request.get("name") or "")
    shown = errors[:_MOST_ERRORS]
    more = f" (and {len(errors) - len(shown)} more)" if len(errors) > len(shown) else ""
    listed = "; ".join(map(str, shown))
    return {
        "code": _INVALID,
        "reason": "Invalid",
        "message": f'{kind}.resource.k8s.io "{name}" is invalid: {listed}{more}',
        "details": {
            "group": "resource.k8s.io",
            "kind": kind,
            "name": name,
            "causes": [
                {"reason": "FieldValueInvalid", "field": error.field, "message": error.detail} for error in shown
            ],
        },
    }
