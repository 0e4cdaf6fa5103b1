"""Spoils an input: as a document if it is JSON, as bytes in any case."""

import json
from random import Random
from typing import Any

# What parsers stumble over: depth, size, kinds that look like others, texts that are none.
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\x00",
    "\ud800",
    "a" * 5000,
    "../../etc/passwd",
    [],
    {},
    [[]],
    {"": {}},
    [None],
)
_PIECES = (
    b"\x00",
    b"\xff\xfe",
    b"[" * 500,
    # Deeper than what JSON is read with.
    b"[" * 20000,
    b'{"a":' * 500,
    b"9" * 5000,
    b"NaN",
    b"-",
    b"1e999",
    b'"\\ud800"',
    b"null",
    b"\r\n",
    b"&a [*a]",
    b"!!python/object:os.system",
    b"2001-99-99",
    b"0x",
    b"\xe2\x80\xae",
)
LONGEST = 1 << 16


def mutate(random: Random, data: bytes, other: bytes) -> bytes:
    """Another input, near to `data`, perhaps with parts of `other`; at most 64 KiB."""
    for _ in range(random.randint(1, 4)):
        data = (_mutate_document(random, data) if random.random() < 0.6 else None) or _mutate_bytes(random, data, other)
    return data[:LONGEST]


def _mutate_document(random: Random, data: bytes) -> bytes | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    spots: list[tuple[Any, Any]] = []
    _collect(found, spots)
    if not spots:
        return None
    holder, key = random.choice(spots)
    act = random.randint(0, 5)
    if act == 0:
        del holder[key]
    elif act == 1:
        source, at = random.choice(spots)
        holder[key] = _copied(source[at]) if _holds(source, at) else None
    elif act == 2 and isinstance(holder, dict):
        holder[str(key) + "x"] = holder.pop(key)
    elif act == 3 and isinstance(holder, list):
        holder.extend(_copied(holder[key]) for _ in range(random.choice((1, 40))))
    else:
        holder[key] = random.choice(_VALUES)
    try:
        text = json.dumps(found)
    except (ValueError, RecursionError):
        return None
    if random.random() < 0.1:
        # A key that stands there twice.
        text = text.replace("{", '{"kind": 1, "kind": 2, ', 1) if random.random() < 0.5 else text.replace(": ", ":", 2)
    return text.encode()


def _holds(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _collect(value: Any, spots: list[tuple[Any, Any]], depth: int = 0) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items if depth < 50 else ():
        spots.append((value, key))
        _collect(item, spots, depth + 1)


def _mutate_bytes(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randint(0, len(data))
    to = min(len(data), at + random.choice((1, 1, 2, 8, 64, 4096)))
    match random.randint(0, 5):
        case 0:
            return data[:at] + data[to:]
        case 1:
            return data[:at] + random.choice(_PIECES) + data[random.choice((at, to)) :]
        case 2:
            return data[:at] + bytes([random.randint(0, 255)]) + data[at + 1 :]
        case 3:
            return data[:to] + data[at:to] * random.choice((1, 3)) + data[to:]
        case 4:
            return data[:at] + other[random.randint(0, len(other)) :]
        case _:
            return data[:at]
