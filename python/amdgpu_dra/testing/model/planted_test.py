"""Faults that are planted in the product, one at a time: the machine has to find each of them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from amdgpu_dra.agent.claims import ClaimManager, Survey, Switcher
from amdgpu_dra.agent.claims.ledger import Ledger
from amdgpu_dra.api.checkpoint import Loaded, State, form
from amdgpu_dra.core.claims import Effect, Holdings, plan, table, verify
from amdgpu_dra.edge.disk import CdiDirectory, RecordFiles
from amdgpu_dra.testing.model.machine import NodeMachine
from amdgpu_dra.testing.model.search import find_first

# A patch of one attribute: where, which, and what takes its place.
Patch = tuple[object, str, Any]
_STORIES = 100


@contextmanager
def _patched(*patches: Patch) -> Iterator[None]:
    with ExitStack() as stack:
        for where, name, value in patches:
            stack.enter_context(patch.object(where, name, value))
        yield


def _without(*skipped: Effect) -> Patch:
    """Effects that are forgotten."""
    do = ClaimManager._do

    def skip(manager: ClaimManager, effect: Effect, *rest: Any) -> None:
        if effect not in skipped:
            do(manager, effect, *rest)

    return ClaimManager, "_do", skip


def _keep_document() -> Patch:
    write = CdiDirectory.write

    def keep(folder: CdiDirectory, uid: str, document: dict[str, object]) -> bool:
        return folder.read(uid) is None and write(folder, uid, document)

    return CdiDirectory, "write", keep


def _no_newer() -> Patch:
    load = RecordFiles.load

    def known(store: RecordFiles) -> Loaded:
        loaded = load(store)
        return replace(loaded, records=tuple(record for record in loaded.records if record.state != State.NEWER))

    return RecordFiles, "load", known


def _newer_without_devices() -> Patch:
    newer = form._newer

    def bare(raw: Any, found: str) -> Any:
        return replace(newer(raw, found), devices=())

    return form, "_newer", bare


def _no_deciding() -> Patch:
    @asynccontextmanager
    async def at_once(_ledger: Ledger, _where: str, _gpus: Iterable[str]) -> Any:
        yield

    return Ledger, "deciding", at_once


def _never_again() -> Patch:
    async def nothing(_ledger: Ledger) -> None:
        pass

    return Ledger, "_refresh", nothing


def _old_listing() -> Patch:
    async def last(survey: Survey) -> Any:
        return survey.listing or await survey.refresh()

    return Survey, "get_listing", last


def _forgetful() -> Patch:
    def forget(_store: RecordFiles, _record: object) -> None:
        pass

    return RecordFiles, "save", forget


def _no_claim_gone() -> Patch:
    return verify, "_is_here", lambda *_: True


def _careless_rest() -> tuple[Patch, ...]:
    async def free(_manager: ClaimManager, _address: object) -> bool:
        return True

    return (ClaimManager, "_is_free", lambda *_: True), (ClaimManager, "_confirm_free", free)


def _table(state: str, event: table.Event, effects: tuple[Effect, ...]) -> Patch:
    return table, "TABLE", table.TABLE | {(state, event): effects}


# What is wrong: the patches.
PLANTED: dict[str, Callable[[], tuple[Patch, ...]]] = {
    "a device that another claim has is not refused": lambda: ((Holdings, "find_conflict", lambda *_: None),),
    "a record is not kept": lambda: (_forgetful(),),
    "a document is never renewed": lambda: (_keep_document(),),
    "a GPU's unique id is not asked for": lambda: (
        (plan, "_identify", lambda held, listing, where: plan._get(listing, held.device, where)),
    ),
    "an Unprepare leaves the document": lambda: (_without(Effect.DROP_CDI),),
    "an Unprepare leaves the record": lambda: (_without(Effect.DROP_RECORD),),
    "a repeated Prepare looks at nothing": lambda: (_table(State.READY, table.Event.PREPARE, ()),),
    "the result of a Prepare is not saved": lambda: (_without(Effect.SAVE_READY),),
    "the listing of before is used": lambda: (_old_listing(),),
    "a claim that is gone is not missed": lambda: (_no_claim_gone(),),
    "a GPU goes to rest under a claim": _careless_rest,
    "fields of a newer driver are dropped": lambda: ((form, "_rest", lambda *_: ""),),
    "a record of a newer driver is overlooked": lambda: (_no_newer(),),
    "a record of a newer driver holds no device": lambda: (_newer_without_devices(),),
    "two instances do not read each other's records": lambda: (_never_again(),),
    "two instances decide about one GPU at once": lambda: (_no_deciding(),),
    "no GPU returns to the idle mode": lambda: ((Switcher, "rest", lambda *_: None),),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    """Within so many stories that follow no plan."""
    with _patched(*PLANTED[fault]()):
        found = find_first(NodeMachine, _STORIES)

    assert found is not None
    number, error = found
    print(f"{fault}: story {number}: {error!r}")
