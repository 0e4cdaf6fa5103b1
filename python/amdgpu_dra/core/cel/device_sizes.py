"""How large the parts of a device can be, by the limits of its API."""

__all__ = ["size_at"]

_NAME, _ID, _MAP, _VALUE = 63, 32, 32, 64
_ATTRIBUTES, _CAPACITY = "attributes", "capacity"
_KEYS, _VALUES, _ITEMS = "@keys", "@values", "@items"


def size_at(path: tuple[str, ...]) -> int | None:
    """The largest size of what a path from `device` leads to; None where the API sets no limit.

    A path's steps are fields, `@values` for an index, `@keys` and `@items` for a loop's variable.
    """
    if not path or path[0] != "device":
        return None
    match path[1:]:
        case ():
            return 0
        case ("driver",):
            return _NAME
        case ("allowMultipleAllocations",):
            return 1
        case ("attributes" | "capacity" as section, *steps):
            return _in_section(section, steps)
        case _:
            return None


def _in_section(section: str, steps: list[str]) -> int | None:
    if not steps:
        return _MAP
    if steps[0] == _KEYS:
        return _NAME if len(steps) == 1 else None
    if steps[0] not in {_VALUES, _ITEMS}:
        return None
    return _in_domain(section, steps[1:])


def _in_domain(section: str, steps: list[str]) -> int | None:
    if not steps:
        return _MAP
    if len(steps) > 1:
        return None
    if steps[0] == _KEYS:
        return _ID
    if section == _ATTRIBUTES:
        return _VALUE
    return 0 if steps[0] in {_VALUES, _ITEMS} else None
