"""The kinds of configuration, as a table: decoding, JSON Schema and reference are made from it."""

from dataclasses import dataclass

API_VERSION = "gpu.resource.amd.com/v1alpha1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind that users may name. `refused` is why this version does not take it, empty if it does."""

    name: str
    doc: str
    refused: str = ""


KINDS = (
    Kind(name="GpuConfig", doc="a GPU or partition as it is; it has no settings"),
    Kind(
        name="VfioDeviceConfig",
        doc="a GPU that is handed to a virtual machine by VFIO",
        refused="this driver does not hand out VFIO devices yet",
    ),
)
"""Names are those of AMD's own driver, so that its manifests serve here too."""
