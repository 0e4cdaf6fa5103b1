"""CEL's own C++ runtime, asked about the selectors that need nothing of Kubernetes."""

import json
from pathlib import Path
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

from amdgpu_dra.core.cel import CelRuntimeError, bind_device, compile_selector

_DATA = json.loads((Path(__file__).parent / "testdata/selectors.json").read_text())
_DOMAINS = ("gpu.amd.com", "gpu.nvidia.com", "gpu.intel.com", "nic.example.com", "resource.kubernetes.io")
_KUBERNETES = ("capacity", "ersion", "device.attributes[device", "in device.attributes ", "device.attributes.")


def _plain(driver: str, device: dict[str, Any]) -> dict[str, Any]:
    """The device as nothing but maps; a domain that the device lacks is empty, as Kubernetes has it."""
    attributes: dict[str, dict[str, object]] = {domain: {} for domain in _DOMAINS}
    for name, content in device.get("attributes", {}).items():
        domain, _, key = name.rpartition("/")
        (attributes[domain or driver][key],) = content.values()
    shared = device.get("allowMultipleAllocations", False)
    return {"driver": driver, "attributes": attributes, "allowMultipleAllocations": shared}


def _ours(expression: str, driver: str, device: dict[str, Any]) -> object:
    try:
        return compile_selector(expression).matches(bind_device(driver, device))
    except CelRuntimeError:
        return "error"


def _theirs(expression: cel.Expression, device: dict[str, Any]) -> object:
    value = expression.eval(data={"device": device}).value()
    return value if isinstance(value, bool) else "error"


def test_second_opinion() -> None:
    """Both evaluators give the same verdict wherever an expression uses the language alone."""
    env = cel.NewEnv(variables={"device": cel.Type.DYN}, extensions=[ext_optional.ExtOptional()])
    asked, unlike = 0, []
    for row in _DATA["selectors"]:
        text = row["expression"]
        if any(word in text for word in _KUBERNETES) or "compile error" in row["verdicts"].values():
            continue
        try:
            theirs = env.compile(text)
        except Exception:  # noqa: BLE001, S112 (the library has no error of its own for a function that it lacks)
            continue
        for name, each in _DATA["devices"].items():
            asked += 1
            found = _ours(text, each["driver"], each["device"]), _theirs(theirs, _plain(each["driver"], each["device"]))
            if found[0] != found[1]:
                unlike.append((text, name, found))
    assert unlike == []
    assert asked >= 300
