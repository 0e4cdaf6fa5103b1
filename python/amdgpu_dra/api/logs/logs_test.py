"""The table of log fields: whole, and the reference in the docs is current."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.logs import FIELDS, SHOWN, Facts, facts, join

REFERENCE = Path("docs/reference/logs.md")
HEAD = """\
# Logs

One line a record to standard error; `--logging-format=json` for objects, `-v=4` for debugging as well. There is no file
and no rotation: the container runtime keeps both.

```
I1124 02:03:04.567890 kubelet: Prepare done method=Prepare call=7 count=1 failed=0 ms=4.8 claims=ns/c:1f0c… devices=…
{"ts": "2026-11-24T02:03:04.567890+00:00", "level": "info", "logger": "kubelet", "msg": "Prepare done", "call": 7, …}
```

Text begins with the level (D, I, W, E, F), month and day, and the time in UTC; then the part of the plugin, the
message, and fields as `name=value`. A value with a space, a quote or a line break is written as JSON writes it. In JSON
`ts`, `level`, `logger` and `msg` are always there, and `trace` where there is a stack.

Each call of the kubelet has one line at its end, with `method`, `call`, `count`, `failed`, `ms` and `claims`, and with
`devices` and `error` where there are any. Other lines have the fields that they need.

"""


def test_every_field_is_explained() -> None:
    """The table of meanings and the types have the same names, and none that JSON lines have anyway."""
    assert list(FIELDS) == list(Facts.__annotations__)
    assert not {"ts", "level", "logger", "msg", "trace"} & set(FIELDS)


def test_the_reference_is_current() -> None:
    """docs/reference/logs.md is what the table says; the message holds the new text."""
    rows = ["| field | type | meaning |", "|---|---|---|"]
    types = {name: "text" if kind is str else "number" for name, kind in Facts.__annotations__.items()}
    rows += [f"| `{name}` | {types[name]} | {text} |" for name, text in FIELDS.items()]

    assert REFERENCE.read_text() == HEAD + "\n".join(rows) + "\n"


@given(st.lists(st.text("abc", min_size=1, max_size=5)))
def test_a_list_is_cut_off_and_counted(items: list[str]) -> None:
    """However many there are, a line has a bounded number of them, and says how many it has not."""
    text = join(items, "; ")

    assert text.split("; ")[:SHOWN] == items[:SHOWN] or not items
    assert text.endswith(f"and {len(items) - SHOWN} more") == (len(items) > SHOWN)


def test_facts_are_given_as_logging_takes_them() -> None:
    """Under one name, so that no field can hide an attribute of a record."""
    assert facts(call=1, claim="ns/c") == {"facts": {"call": 1, "claim": "ns/c"}}
