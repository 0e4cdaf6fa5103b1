"""ResourceClaims (v1 JSON) -> what the allocator works on."""

from collections.abc import Mapping

from amdgpu_dra.core.allocate.decode import selector
from amdgpu_dra.core.allocate.fields import DecodeError, Fields
from amdgpu_dra.core.allocate.model import Claim, Constraint, Request, RequestChoice, Toleration


def decode_claim(raw: Mapping[str, object]) -> Claim:
    """A ResourceClaim's wishes; what it already holds is for AllocatedState.

    Raises:
        DecodeError: a field is of the wrong kind; says which.
    """
    root = Fields(raw, "claim")
    metadata, devices = root.child("metadata"), root.child("spec").child("devices")
    return Claim(
        name=metadata.text("name"),
        namespace=metadata.text("namespace"),
        uid=metadata.text("uid"),
        requests=devices.objects("requests", _choice),
        constraints=devices.objects("constraints", _constraint),
        config=devices.objects("config", lambda item: item.raw),
    )


def _choice(item: Fields) -> RequestChoice:
    name = item.text("name")
    if item.items("firstAvailable"):
        alternatives = item.objects("firstAvailable", lambda sub: _request(sub, sub.text("name"), name))
        return RequestChoice(name=name, alternatives=alternatives, prioritized=True)
    if not item.has("exactly"):
        raise DecodeError(item.path, "exactly or firstAvailable", sorted(item.raw))
    only = _request(item.child("exactly"), name, "")
    return RequestChoice(name=name, alternatives=(only,), prioritized=False)


def _request(item: Fields, name: str, parent: str) -> Request:
    return Request(
        name=name,
        parent=parent,
        class_name=item.text("deviceClassName"),
        mode=item.text("allocationMode"),
        count=item.number("count"),
        selectors=item.objects("selectors", selector),
        tolerations=item.objects("tolerations", _toleration),
        admin_access=None if parent else item.flag("adminAccess", None),
        capacity=item.child("capacity").quantities("requests"),
        has_capacity=item.has("capacity"),
        derived=dict(item.objects("derivedAttributes", lambda row: (row.text("name"), row.text("expression")))),
    )


def _toleration(item: Fields) -> Toleration:
    return Toleration(
        key=item.text("key"),
        operator=item.text("operator"),
        value=item.text("value"),
        effect=item.text("effect"),
        # Go leaves out what is empty.
        raw={name: value for name, value in item.raw.items() if value is not None and value != ""},
    )


def _constraint(item: Fields) -> Constraint:
    return Constraint(
        requests=frozenset(item.texts("requests")),
        match=item.text("matchAttribute") if item.has("matchAttribute") else None,
        distinct=item.text("distinctAttribute") if item.has("distinctAttribute") else None,
    )
