"""Files of one object, several documents, or lists such as `kubectl get` prints."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from amdgpu_dra.api.errors import UsageError

type Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON."""

STDIN = "-"
# libyaml is some ten times faster; wheels have it, a build from source may not.
_BASE: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc,valid-type]
    """JSON's types alone: what looks like a time stays a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
    for first, rows in _BASE.yaml_implicit_resolvers.items()
}


def read_manifests(name: str) -> tuple[Manifest, ...]:
    """The objects of a file, or of standard input (`-`), in order; lists are taken apart.

    Raises:
        UsageError: it cannot be read, is no YAML or JSON, or holds something else than objects with a kind.
    """
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise UsageError(name, expected="a file in YAML or JSON", found=found, action="name a file, or -") from error
    return tuple(item for i, document in enumerate(_documents(name, text)) for item in _objects(name, i, document))


def _documents(name: str, text: str) -> list[object]:
    """Every document but empty ones."""
    try:
        if text.lstrip().startswith(("{", "[")):
            return list(_json_documents(text))
    except (ValueError, RecursionError):
        # YAML takes more that begins so; it has the last word.
        pass
    try:
        return [item for item in yaml.load_all(text, _Loader) if item is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(name, "neither YAML nor JSON: " + " ".join(str(error).split())) from error


def _json_documents(text: str) -> Iterator[object]:
    """JSON objects one after another, as files that were joined have them."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        item, end = decoder.raw_decode(rest)
        yield item
        rest = rest[end:].strip()


def _objects(name: str, number: int, document: object) -> Iterator[Manifest]:
    items = document if isinstance(document, list) else [document]
    for i, item in enumerate(items):
        where = f"{name}, document {number + 1}" + (f", item {i + 1}" if isinstance(document, list) else "")
        if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
            raise _wrong(where, f"a {type(item).__name__}" if not isinstance(item, dict) else "an object without kind")
        if item["kind"].endswith("List") and isinstance(item.get("items", []), list | None):
            yield from _members(where, item)
        else:
            yield item


def _members(where: str, found: Manifest) -> Iterable[Manifest]:
    """The items of a list; the API itself gives them without kind and version."""
    given = {"apiVersion": found.get("apiVersion", ""), "kind": found["kind"].removesuffix("List")}
    for i, item in enumerate(found.get("items") or ()):
        if not isinstance(item, dict):
            raise _wrong(f"{where}, items[{i}]", f"a {type(item).__name__}")
        if not item.get("kind") and not given["kind"]:
            raise _wrong(f"{where}, items[{i}]", "an object without kind")
        yield item if item.get("kind") else {**given, **item}


def _wrong(where: str, found: str) -> UsageError:
    return UsageError(
        where, expected="Kubernetes objects", found=found, action="give what `kubectl get KIND -o json` prints"
    )
