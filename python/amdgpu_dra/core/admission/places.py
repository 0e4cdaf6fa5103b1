"""Where configurations and requests stand in each kind of object; the same for v1, v1beta2 and v1beta1."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Resource -> the path from the object to what holds `config` and `requests`.
HOLDERS: Mapping[str, tuple[str, ...]] = {
    "resourceclaims": ("spec", "devices"),
    "resourceclaimtemplates": ("spec", "spec", "devices"),
    "deviceclasses": ("spec",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A CEL expression and its path."""

    path: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request or sub-request: the class that it names, and its selectors."""

    class_name: str
    selectors: tuple[Selector, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The parameters of an opaque configuration, of which driver, and their path."""

    path: str
    driver: object
    parameters: object


def find_configs(resource: str, raw: Mapping[str, object]) -> list[Config]:
    """The opaque configurations of an object."""
    holder, path = _holder(resource, raw)
    found = []
    for at, item in _objects(holder, "config", path):
        opaque = item.get("opaque")
        if isinstance(opaque, Mapping):
            where = f"{at}.opaque.parameters"
            found.append(Config(path=where, driver=opaque.get("driver"), parameters=opaque.get("parameters")))
    return found


def find_requests(resource: str, raw: Mapping[str, object]) -> list[Request]:
    """The requests of a claim or template; a class has none.

    In v1beta1 a request holds its class itself, later under `exactly`; alternatives are under `firstAvailable` in all.
    """
    holder, path = _holder(resource, raw)
    found = []
    for at, item in _objects(holder, "requests", path):
        exactly = item.get("exactly")
        places = [(at, item), *_objects(item, "firstAvailable", at)]
        if isinstance(exactly, Mapping):
            places.append((f"{at}.exactly", exactly))
        for where, place in places:
            name = place.get("deviceClassName")
            if isinstance(name, str) and name:
                found.append(Request(class_name=name, selectors=_selectors(place, where)))
    return found


def find_selectors(raw: Mapping[str, object]) -> tuple[Selector, ...]:
    """The selectors of a class."""
    return _selectors(*_holder("deviceclasses", raw))


def _selectors(holder: Mapping[str, object], path: str) -> tuple[Selector, ...]:
    found = []
    for at, item in _objects(holder, "selectors", path):
        cel = item.get("cel")
        if isinstance(cel, Mapping) and isinstance(cel.get("expression"), str):
            found.append(Selector(path=f"{at}.cel.expression", expression=str(cel["expression"])))
    return tuple(found)


def _holder(resource: str, raw: Mapping[str, object]) -> tuple[Mapping[str, object], str]:
    names = HOLDERS[resource]
    for name in names:
        inner = raw.get(name)
        raw = inner if isinstance(inner, Mapping) else {}
    return raw, ".".join(names)


def _objects(holder: Mapping[str, object], name: str, path: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The objects of a list with their paths; what is no list or no object is the API server's to refuse."""
    found = holder.get(name)
    for place, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, Mapping):
            yield f"{path}.{name}[{place}]", item
