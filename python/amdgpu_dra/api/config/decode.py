"""Strict decoding of one configuration."""

from collections.abc import Mapping
from dataclasses import dataclass

from amdgpu_dra.api.config.kinds import API_VERSION, KINDS
from amdgpu_dra.api.errors import shorten

_TAKEN = tuple(kind.name for kind in KINDS if not kind.refused)
_REFUSED = {kind.name: kind.refused for kind in KINDS if kind.refused}
_FIELDS = ("apiVersion", "kind")
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One wrong field: its path as Kubernetes writes it, and what was expected and found."""

    field: str
    detail: str

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"


class RepeatedKeys(dict[str, object]):
    """An object of a JSON text that has a key twice; `names` has those keys. The last value of each counts."""

    names: tuple[str, ...] = ()


def decode_config(raw: object, path: str) -> list[FieldError]:
    """Every error of one configuration; none if it is a GpuConfig, which has no settings.

    Args:
        raw: its JSON.
        path: where it stands, as Kubernetes writes field paths.
    """
    if not isinstance(raw, Mapping):
        return [FieldError(field=path, detail=f"expected an object, found {shorten(raw)}")]
    errors = []
    if isinstance(raw, RepeatedKeys):
        errors += [FieldError(field=f"{path}.{name}", detail="the key is there twice") for name in raw.names]
    if raw.get("apiVersion") != API_VERSION:
        found = shorten(raw.get("apiVersion"))
        errors.append(FieldError(field=f"{path}.apiVersion", detail=f"expected {API_VERSION!r}, found {found}"))
    kind = raw.get("kind")
    if isinstance(kind, str) and kind in _REFUSED:
        errors.append(FieldError(field=f"{path}.kind", detail=f"{kind} is not supported: {_REFUSED[kind]}"))
    elif kind not in _TAKEN:
        wanted = " or ".join(repr(name) for name in _TAKEN)
        errors.append(FieldError(field=f"{path}.kind", detail=f"expected {wanted}, found {shorten(kind)}"))
    else:
        errors += [
            FieldError(field=f"{path}.{_name(name)}", detail=f"unknown field; {kind} has none")
            for name in sorted(map(str, raw.keys() - set(_FIELDS)))
        ]
    return errors


def _name(name: str) -> str:
    """A field's name as it stands; one that no field can have is quoted and cut off."""
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else shorten(name)
