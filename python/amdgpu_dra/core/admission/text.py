"""JSON of others: strict, and bounded in what it may do to the reader."""

import json

from amdgpu_dra.api.config import RepeatedKeys


def read_json(text: bytes) -> object:
    """The value of a JSON text. Objects that have a key twice are `RepeatedKeys`.

    Raises:
        ValueError: it is not UTF-8, not JSON, nested too deep, or has a number that JSON does not know.
    """
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = RepeatedKeys(found)
    twice.names = tuple(name for name in found if names.count(name) > 1)
    return twice


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
