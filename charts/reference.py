"""The page of the chart's values: names and texts of values.schema.json, defaults of values.yaml."""

import json
from collections.abc import Iterator
from typing import Any

import helm
import yaml

PAGE = "docs/reference/chart-values.md"
_HEAD = """\
# Values of the chart

From `charts/k8s-gpu-dra-driver/values.schema.json`, which Helm holds every install against. Names are those of AMD's
chart where that has them. A switch is `auto`, `true` or `false`.

| value | type | default | meaning |
|---|---|---|---|
"""


def read_schema() -> dict[str, Any]:
    """The chart's schema."""
    schema: dict[str, Any] = json.loads((helm.CHART / "values.schema.json").read_text())
    return schema


def read_values() -> dict[str, Any]:
    """The chart's defaults."""
    values: dict[str, Any] = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    return values


def leaves(schema: dict[str, Any], node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value that the chart names itself, as PATH and its part of the schema; what Kubernetes defines is whole."""
    for name, part in node["properties"].items():
        target = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        whole = {**target, **part}
        at = f"{path}.{name}" if path else name
        named = target.get("properties", {})
        if named and all("description" in child for child in named.values()):
            yield from leaves(schema, target, at)
        else:
            yield at, whole


def render() -> str:
    """The page."""
    schema, values = read_schema(), read_values()
    rows = []
    for path, part in leaves(schema, schema):
        if path != "global":
            rows.append(f"| `{path}` | {_type(part)} | {_default(values, path)} | {part['description']} |")
    return _HEAD + "\n".join(rows) + "\n"


def _default(values: Any, path: str) -> str:
    for name in path.split("."):
        if name not in values:
            return ""
        values = values[name]
    return f"`{json.dumps(values)}`" if values not in ("", {}, []) else "empty"


def _type(part: dict[str, Any]) -> str:
    if part.get("$ref", "").endswith("/switch"):
        return "switch"
    if "enum" in part:
        return "one of " + ", ".join(f"`{value}`" if value else "nothing" for value in part["enum"])
    if part["type"] == "integer":
        return f"integer, {part['minimum']} to {part['maximum']}" if "minimum" in part else "integer"
    return " or ".join(part["type"]) if isinstance(part["type"], list) else str(part["type"])
