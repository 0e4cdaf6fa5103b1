"""`conformance`: recorded answers of Kubernetes against ours."""

import argparse
import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from amdgpu_dra.core.allocate import DecodeError, judge_allocation
from amdgpu_dra.core.cel import judge_cel

type Judge = Callable[[Mapping[str, Any]], tuple[str, str] | None]
"""A case -> its name and how it differs, or None."""

type Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no public name)


def add_command(commands: Commands) -> None:
    """Adds the command with its sub-commands."""
    parser = commands.add_parser("conformance", help="compare our answers with recorded ones of Kubernetes")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for name, judge in (("allocator", _judge_allocator), ("cel", _judge_expression)):
        kind = kinds.add_parser(name, help=f"cases of the {name}")
        kind.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".jsonl or .jsonl.gz")
        kind.add_argument("--listed", type=Path, help="differences that are known: one name a line, then the reason")
        kind.set_defaults(run=lambda chosen, judge=judge: _run(chosen.files, chosen.listed, judge))


def _run(files: Iterable[Path], listed: Path | None, judge: Judge) -> int:
    """Prints counts and differing cases; 1 if one differs that is not listed."""
    known = _read_listed(listed)
    unlisted = 0
    for file in map(_where_it_was_typed, files):
        same = differ = excused = 0
        for case in _read_cases(file):
            found = judge(case)
            if found is None:
                same += 1
            elif found[0] in known:
                excused += 1
            else:
                differ += 1
                print(f"{found[0]}: {found[1]}")
        print(f"{file.name}: {same} same, {differ} different, {excused} different and listed")
        unlisted += differ
    return 1 if unlisted else 0


def _where_it_was_typed(file: Path) -> Path:
    """Bazel runs programs in a folder of its own and says where the command was given."""
    return Path(os.environ.get("BUILD_WORKING_DIRECTORY", "")) / file


def _read_listed(file: Path | None) -> dict[str, str]:
    rows = _where_it_was_typed(file).read_text().splitlines() if file else []
    return dict(row.split(maxsplit=1) for row in rows if row.strip() and not row.startswith("#"))


def _read_cases(file: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for number, line in enumerate(lines, start=1):
            try:
                case = json.loads(line)
            except json.JSONDecodeError as error:
                raise DecodeError(f"{file}:{number}", "a JSON object", str(error)) from None
            if not isinstance(case, dict):
                raise DecodeError(f"{file}:{number}", "a JSON object", case)
            yield case


def _judge_allocator(case: Mapping[str, Any]) -> tuple[str, str] | None:
    found = judge_allocation(case)
    return None if found is None else (found.name, f"expected {found.expected}, found {found.found}")


def _judge_expression(case: Mapping[str, Any]) -> tuple[str, str] | None:
    found = judge_cel(case)
    faults = [] if found.verdict else [f"expected {found.expected}, found {found.found} {found.message}".rstrip()]
    faults += [name for name in ("too_long", "too_expensive") if not getattr(found, name)]
    return (found.id, f"{'; '.join(faults)}: {found.expression}") if faults else None
