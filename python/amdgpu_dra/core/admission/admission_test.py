"""What the webhook says to objects of each kind and version, and to what is none."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.config import API_VERSION
from amdgpu_dra.core.admission import ReviewError, answer, judge

GOOD = {"apiVersion": API_VERSION, "kind": "GpuConfig"}
BAD = {"apiVersion": API_VERSION, "kind": "GpuConfig", "sharing": {"strategy": "TimeSlicing"}}
VERSIONS = ("v1", "v1beta2", "v1beta1")
GPU = "device.attributes['gpu.amd.com']"
CLASS_SELECTOR = "spec.selectors[0].cel.expression"
NAMES = st.sampled_from(
    [
        "spec",
        "devices",
        "config",
        "opaque",
        "driver",
        "parameters",
        "requests",
        "exactly",
        "firstAvailable",
        "selectors",
        "cel",
        "expression",
        "deviceClassName",
        "metadata",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=4),
    max_leaves=12,
)


def _config(parameters: object, driver: str = "gpu.amd.com") -> dict[str, Any]:
    return {"opaque": {"driver": driver, "parameters": parameters}}


def _request(version: str, class_name: str, *expressions: str) -> dict[str, Any]:
    inner = {"deviceClassName": class_name, "selectors": [{"cel": {"expression": text}} for text in expressions]}
    return {"name": "r", **inner} if version == "v1beta1" else {"name": "r", "exactly": inner}


def _object(resource: str, *, config: tuple[Any, ...] = (), requests: tuple[Any, ...] = ()) -> dict[str, Any]:
    devices = {"config": list(config), "requests": list(requests)}
    match resource:
        case "resourceclaims":
            return {"spec": {"devices": devices}}
        case "resourceclaimtemplates":
            return {"spec": {"spec": {"devices": devices}}}
    return {"spec": {"config": list(config)}}


def _review(resource: str, version: str, raw: object, operation: str = "CREATE", **more: object) -> dict[str, Any]:
    named = {"group": "resource.k8s.io", "version": version, "resource": resource}
    request = {"uid": "u", "resource": named, "operation": operation, "name": "one", "object": raw, **more}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def _answered(review: object) -> dict[str, Any]:
    found = answer(json.dumps(review).encode())
    assert (found["apiVersion"], found["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: Any = found["response"]
    assert response["uid"] == "u"
    return dict(response)


PREFIX = {"resourceclaims": "spec.devices", "resourceclaimtemplates": "spec.spec.devices", "deviceclasses": "spec"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", PREFIX)
def test_every_error_of_each_kind_is_told_at_once(resource: str, version: str) -> None:
    """Claims, templates and classes of each version: all errors, with their paths, in one refusal."""
    raw = _object(resource, config=(_config(GOOD), _config(BAD), _config({}), _config(BAD, "gpu.nvidia.com")))

    response = _answered(_review(resource, version, raw))

    at = PREFIX[resource]
    assert not response["allowed"]
    assert (response["status"]["code"], response["status"]["reason"]) == (422, "Invalid")
    assert [cause["field"] for cause in response["status"]["details"]["causes"]] == [
        f"{at}.config[1].opaque.parameters.sharing",
        f"{at}.config[2].opaque.parameters.apiVersion",
        f"{at}.config[2].opaque.parameters.kind",
    ]
    assert "config[1].opaque.parameters.sharing: unknown field; GpuConfig has none" in response["status"]["message"]


@pytest.mark.parametrize("resource", PREFIX)
def test_what_is_right_is_allowed(resource: str) -> None:
    """No status and no warnings."""
    assert _answered(_review(resource, "v1", _object(resource, config=(_config(GOOD),)))) == {
        "uid": "u",
        "allowed": True,
    }


@pytest.mark.parametrize(
    ("review", "why"),
    [
        pytest.param(_review("resourceclaims", "v1", None, "DELETE"), "delete", id="delete"),
        pytest.param(_review("pods", "v1", _object("resourceclaims", config=(_config(BAD),))), "pods", id="pods"),
        pytest.param(
            _review(
                "resourceclaims", "v1", x := _object("resourceclaims", config=(_config(BAD),)), "UPDATE", oldObject=x
            ),
            "an old object's status may change",
            id="same-spec",
        ),
        pytest.param(
            _review(
                "resourceclaims",
                "v1",
                {"metadata": {"deletionTimestamp": "now"}, **_object("resourceclaims", config=(_config(BAD),))},
                "UPDATE",
            ),
            "a finalizer may go",
            id="leaving",
        ),
    ],
)
def test_what_is_not_ours_to_judge_is_allowed(review: dict[str, Any], why: str) -> None:
    """Other operations and resources, and updates that leave the spec alone."""
    assert _answered(review)["allowed"], why


def test_an_update_that_changes_the_spec_is_judged() -> None:
    """A class may be changed, so what is new in it is looked at."""
    review = _review(
        "deviceclasses",
        "v1",
        _object("deviceclasses", config=(_config(BAD),)),
        "UPDATE",
        oldObject=_object("deviceclasses"),
    )

    assert not _answered(review)["allowed"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("expression", "warning"),
    [
        pytest.param(
            f"{GPU}.typ == 'amdgpu'",
            "no device of gpu.amd.com has the attribute typ; did you mean type?",
            id="misspelt",
        ),
        pytest.param(f"{GPU}.memory == 1", "memory is a capacity, not an attribute", id="capacity"),
        pytest.param(
            f"{GPU}.model == 'MI300X'",
            "fails on devices without model; ask first: 'model' in device.attributes['gpu.amd.com'] &&",
            id="unguarded",
        ),
        pytest.param(
            "device.capacity['gpu.amd.com'].memory.compareTo(quantity('64Gi')) >= 0",
            "fails on devices without memory; ask first: 'memory' in device.capacity['gpu.amd.com'] &&",
            id="capacity-unguarded",
        ),
        pytest.param(
            "device.attributes['gpu.nvidia.com'].type == 'gpu'",
            "no device of gpu.amd.com has the attribute gpu.nvidia.com/type",
            id="others",
        ),
    ],
)
def test_selectors_that_cannot_work_are_warned_of(version: str, expression: str, warning: str) -> None:
    """Allowed, with a warning that names the selector's path."""
    raw = _object("resourceclaims", requests=(_request(version, "gpu.amd.com", f"{GPU}.type == 'amdgpu'", expression),))

    response = _answered(_review("resourceclaims", version, raw))

    inner = "" if version == "v1beta1" else ".exactly"
    assert response["allowed"]
    assert response["warnings"] == [f"spec.devices.requests[0]{inner}.selectors[1].cel.expression: {warning}"]


@pytest.mark.parametrize(
    ("class_name", "expression"),
    [
        pytest.param("gpu.amd.com", f"{GPU}.type == 'amdgpu'", id="always-there"),
        pytest.param("gpu.amd.com", f"'model' in {GPU} && {GPU}.model == 'MI300X'", id="guarded"),
        pytest.param("gpu.amd.com", f"{GPU}.?model.orValue('') == 'MI300X'", id="optional"),
        pytest.param("gpu.amd.com", f"{GPU}.type == 'x' && {GPU}.model == 'y'", id="never-reached"),
        pytest.param("whole.gpu.amd.com", f"{GPU}.type == 'amdgpu' || {GPU}.partitionIndex == 1", id="whole"),
        pytest.param("gpu.nvidia.com", "device.attributes['gpu.nvidia.com'].type == 'gpu'", id="another-driver"),
        pytest.param("gpu.amd.com", "this is no CEL", id="refused-by-the-server"),
    ],
)
def test_selectors_that_work_are_not_warned_of(class_name: str, expression: str) -> None:
    """Nor are those of other drivers' classes, nor what the API server refuses by itself."""
    raw = _object("resourceclaims", requests=(_request("v1", class_name, expression),))

    assert "warnings" not in _answered(_review("resourceclaims", "v1", raw))


def test_alternatives_are_looked_at_as_well() -> None:
    """Each sub-request of a prioritized list, with its path."""
    first = {"deviceClassName": "gpu.amd.com", "selectors": [{"cel": {"expression": f"{GPU}.nope == 1"}}]}
    raw = _object("resourceclaimtemplates", requests=({"name": "r", "firstAvailable": [{}, first]},))

    (warning,) = _answered(_review("resourceclaimtemplates", "v1", raw))["warnings"]

    assert warning.startswith("spec.spec.devices.requests[0].firstAvailable[1].selectors[0].cel.expression: ")


@pytest.mark.parametrize(
    ("expression", "warnings"),
    [
        (
            f"{GPU}.type == 'amdgpu'",
            [f"{CLASS_SELECTOR}: fails on devices of other drivers; begin with device.driver == 'gpu.amd.com' &&"],
        ),
        (f"device.driver == 'gpu.amd.com' && {GPU}.type == 'amdgpu'", []),
        ("device.driver == 'gpu.nvidia.com'", []),
        (
            f"device.driver == 'gpu.amd.com' && {GPU}.model == 'MI300X'",
            [
                f"{CLASS_SELECTOR}: fails on devices without model; ask first: 'model' in {GPU} &&",
            ],
        ),
    ],
    ids=["unguarded", "guarded", "another-drivers", "model"],
)
def test_a_class_that_fails_on_other_drivers_is_warned_of(expression: str, warnings: list[str]) -> None:
    """The selectors of a class meet every device of the cluster."""
    raw = {"spec": {"selectors": [{"cel": {"expression": expression}}]}}

    assert _answered(_review("deviceclasses", "v1", raw)).get("warnings", []) == warnings


@given(st.sampled_from(sorted(PREFIX)), JSON)
def test_any_object_gets_an_answer(resource: str, raw: object) -> None:
    """Whatever its form: what is wrong with an object in general is the API server's to say."""
    judge(_review(resource, "v1", raw)["request"])


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_review_is_an_error(text: bytes) -> None:
    """One kind of error, that says what was expected."""
    with pytest.raises(ReviewError, match="expected"):
        answer(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"[" * 100_000, "nested too deep", id="deep"),
        pytest.param(b"\xff", "utf-8", id="encoding"),
        pytest.param(b'{"x": NaN}', "NaN is no number of JSON", id="not-a-number"),
        pytest.param(b"9" * 100_000, "Exceeds the limit", id="long-number"),
        pytest.param(json.dumps({**_review("pods", "v1", {}), "request": {}}).encode(), "request.uid", id="no-uid"),
        pytest.param(json.dumps({**_review("pods", "v1", {}), "request": 1}).encode(), "request: ", id="no-request"),
        pytest.param(b'{"apiVersion": "admission.k8s.io/v1beta1"}', "admission.k8s.io/v1", id="old"),
    ],
)
def test_hostile_texts_are_refused(text: bytes, message: str) -> None:
    """Each with what is wrong."""
    with pytest.raises(ReviewError, match=message):
        answer(text)


def test_a_key_that_is_there_twice_is_refused() -> None:
    """Parameters are kept as the user wrote them; a key that is there twice would mean what the reader makes of it."""
    review = _review("resourceclaims", "v1", _object("resourceclaims", config=(_config(GOOD),)))
    text = json.dumps(review).replace('"kind": "GpuConfig"', '"kind": "Other", "kind": "GpuConfig"')

    response: Any = answer(text.encode())["response"]

    assert response["status"]["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "field": "spec.devices.config[0].opaque.parameters.kind",
            "message": "the key is there twice",
        }
    ]


def test_a_flood_of_errors_is_cut() -> None:
    """An answer stays short enough to be read, and says how many there were."""
    raw = _object("resourceclaims", config=tuple(copy.deepcopy(_config({})) for _ in range(32)))

    status = _answered(_review("resourceclaims", "v1", raw))["status"]

    assert len(status["details"]["causes"]) == 32
    assert status["message"].endswith("(and 32 more)")
