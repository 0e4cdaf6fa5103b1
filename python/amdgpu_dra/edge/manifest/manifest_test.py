"""Manifests: the same objects however they are written down, and errors that say where."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.manifest import read_manifests

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT | st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.lists(
    st.fixed_dictionaries({"kind": st.sampled_from(["Node", "ResourceClaim"]), "spec": _VALUES}), min_size=1, max_size=4
)


@given(_OBJECTS)
def test_every_form_gives_the_same_objects(tmp_path_factory: pytest.TempPathFactory, objects: list[Any]) -> None:
    """JSON, YAML, documents, joined files, a list object, a bare list."""
    path = tmp_path_factory.mktemp("m") / "m"
    as_list = {"apiVersion": "v1", "kind": "List", "items": objects}
    texts = [json.dumps(as_list), json.dumps(objects), yaml.safe_dump(as_list), yaml.safe_dump(objects)]
    texts += [yaml.safe_dump_all(objects), "".join(json.dumps(item) + "\n" for item in objects)]
    texts.append("".join(json.dumps(item, ensure_ascii=False) + "\n---\n" for item in objects))
    for text in texts:
        path.write_text(text)
        assert list(read_manifests(str(path))) == objects


def test_items_of_the_api_get_their_lists_kind(tmp_path: Path) -> None:
    """The API leaves kind and version out in a list; a kind that is there stays."""
    path = tmp_path / "m.json"
    items = [{"metadata": {"name": "a"}}, {"kind": "Other", "metadata": {"name": "b"}}]
    path.write_text(json.dumps({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSliceList", "items": items}))
    first, second = read_manifests(str(path))

    assert (first["apiVersion"], first["kind"]) == ("resource.k8s.io/v1", "ResourceSlice")
    assert second == items[1]


def test_times_stay_texts(tmp_path: Path) -> None:
    """A date without quotes is what JSON would have, a text."""
    path = tmp_path / "m.yaml"
    path.write_text("kind: Node\nmetadata: {creationTimestamp: 2026-01-01T00:00:00Z}\n")

    assert read_manifests(str(path))[0]["metadata"] == {"creationTimestamp": "2026-01-01T00:00:00Z"}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads it."""
    monkeypatch.setattr("sys.stdin", io.StringIO("kind: Node\n---\n# nothing\n---\nkind: Pod\n"))

    assert [item["kind"] for item in read_manifests("-")] == ["Node", "Pod"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: [", "neither YAML nor JSON"),
        ("{", "neither YAML nor JSON"),
        ("kind: Node\n---\njust words\n", "document 2: .*a str"),
        ("- kind: Node\n- {}\n", "document 1, item 2: .*without kind"),
        ("kind: NodeList\nitems: [1]\n", r"items\[0\]: .*a int"),
        ("kind: List\nitems: [{a: 1}]\n", r"items\[0\]: .*without kind"),
        ("!!python/object/apply:os.getcwd []", "neither YAML nor JSON"),
    ],
)
def test_what_is_wrong_says_where(tmp_path: Path, text: str, match: str) -> None:
    """The file, the document and the item."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)

    with pytest.raises(UsageError, match=match) as caught:
        read_manifests(str(path))
    assert caught.value.where.startswith(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """An error in one line, for a folder too."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match=r"expected a file in YAML or JSON, found .*; name a file, or -"):
            read_manifests(str(path))


def test_an_empty_file_has_no_objects(tmp_path: Path) -> None:
    """And so has an empty list."""
    for text in ("", "---\n", "[]", "kind: List\nitems: []\n", "kind: List\nitems:\n"):
        path = tmp_path / "empty"
        path.write_text(text)
        assert read_manifests(str(path)) == ()
