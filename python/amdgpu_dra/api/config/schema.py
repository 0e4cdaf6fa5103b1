"""JSON Schema and reference page of the kinds, for editors, linters and people."""

import json

from amdgpu_dra.api.config.kinds import API_VERSION, KINDS, Kind


def render_schema() -> str:
    """One JSON Schema (2020-12) for a configuration of any kind that is taken; ends with a newline."""
    taken = [_one(kind) for kind in KINDS if not kind.refused]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{API_VERSION.replace('/', ':')}",
        "title": f"Configuration of {API_VERSION}",
        "oneOf": taken,
    }
    return json.dumps(schema, indent=2) + "\n"


def _one(kind: Kind) -> dict[str, object]:
    return {
        "title": kind.name,
        "description": kind.doc,
        "type": "object",
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"const": kind.name}},
        "required": ["apiVersion", "kind"],
        "additionalProperties": False,
    }


_HEAD = f"""\
`opaque.parameters` of a claim, a template or a DeviceClass for the driver `gpu.amd.com`, in the form of \
`{API_VERSION}`. Unknown fields, kinds and versions are refused, with their path: by the webhook when the object is \
made, and without a webhook when the claim is prepared. [JSON Schema](configuration.schema.json)."""


def render_reference() -> str:
    """`docs/reference/configuration.md`."""
    rows = [f"| `{kind.name}` | {kind.doc} | {kind.refused or 'yes'} |" for kind in KINDS]
    example = [
        "apiVersion: resource.k8s.io/v1",
        "kind: ResourceClaim",
        "metadata: {name: one-gpu}",
        "spec:",
        "  devices:",
        "    requests: [{name: gpu, exactly: {deviceClassName: gpu.amd.com}}]",
        "    config:",
        "    - requests: [gpu]",
        "      opaque:",
        "        driver: gpu.amd.com",
        f"        parameters: {{apiVersion: {API_VERSION}, kind: GpuConfig}}",
    ]
    return "\n".join(
        [
            "# Opaque configuration",
            "",
            _HEAD,
            "",
            "| kind | what | taken |",
            "|---|---|---|",
            *rows,
            "",
            "```yaml",
            *example,
            "```",
            "",
        ]
    )
