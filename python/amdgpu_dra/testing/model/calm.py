"""What must be when all trouble is over: everybody's claims as they were, and after their end nothing at all."""

from dataclasses import dataclass

from amdgpu_dra.core.devices import Layout, describe, list_devices
from amdgpu_dra.core.slices import build_slices
from amdgpu_dra.testing.model.kubelet import Story, gpu_and_mode
from amdgpu_dra.testing.model.node import FOREIGN, Node
from amdgpu_dra.testing.model.process import NODE

# Longer than the longest back-off and the rescan.
_LONG = 130.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a story ends.

    Attributes:
        pair: two instances run, and either gets calls.
        killed_after: of the two the old one is killed after so many points of the last Unprepares; None: it is stopped.
        forgotten: the kubelet has forgotten every claim; they are only deleted.
    """

    pair: bool = False
    killed_after: int | None = None
    forgotten: bool = False


def calm(node: Node, ending: Ending) -> None:
    """Ends all trouble, lets the kubelet finish what it has begun, and then every pod; looks after each."""
    _make_well(node)
    if ending.pair:
        node.join()
        node.settle(_LONG)
    _check_claims(node)
    if not ending.forgotten:
        _unprepare_all(node, ending)
    _delete_all(node, ending)
    _check_empty(node)


def _make_well(node: Node) -> None:
    node.heal()
    node.settle(_LONG)
    node.kill()
    node.finish_switches()
    for story in node.stories.values():
        node.take_back(story)
    node.start()
    node.settle(_LONG)
    node.check()


def _same_boards(node: Node, story: Story) -> bool:
    """Whether the GPUs that a claim has are those that it had."""
    now = {str(gpu.address): f"{gpu.unique_id:016x}" for gpu in node.hardware.kernel.fleet.gpus}
    return all(now.get(gpu_and_mode(device)[0]) == board for device, board in story.boards.items())


def _check_claims(node: Node) -> None:
    """Every claim that the kubelet was told of is there, and prepared again it is what it was."""
    for story in [story for story in node.stories.values() if story.in_use]:
        before = story.told
        refused = node.counts["refusals"]
        node.call("prepare", [story.ref.uid])
        node.settle(_LONG)
        node.check()
        if story.damaged and not _same_boards(node, story):
            continue
        if _same_boards(node, story):
            assert node.counts["refusals"] == refused, f"{story.ref} cannot be prepared any more"
            assert story.told == before
            node.truth.check_document(story)
        else:
            assert node.counts["refusals"] == refused + 1, f"{story.ref} was given another GPU"


def _unprepare_all(node: Node, ending: Ending) -> None:
    """Every pod ends."""
    refused = node.counts["refusals"]
    uids = [story.ref.uid for story in node.stories.values() if story.called]
    for number, uid in enumerate(uids):
        node.call("unprepare", [uid], old=number % 2 == 0)
    if ending.pair and ending.killed_after is not None:
        node.go_on(ending.killed_after)
        node.kill(0)
        # Who had no answer asks again.
        for uid in uids:
            if not node.stories[uid].let_go:
                node.call("unprepare", [uid])
    node.settle()
    assert node.counts["refusals"] == refused


def _delete_all(node: Node, ending: Ending) -> None:
    """The claims go; where the kubelet has said nothing of them, the plugin finds out at its next start."""
    for story in node.stories.values():
        if not story.deleted:
            story.deleted = True
            del node.server.claims.claims[story.ref.namespace, story.ref.name]
    if len(node.processes) > 1:
        node.processes[0].stop()
        node.settle(_LONG)
    if ending.forgotten:
        node.kill()
        node.start()
    # What another instance has changed a process sees at its next call.
    node.call("unprepare", [story.ref.uid for story in node.stories.values() if story.let_go])
    node.settle(_LONG)


def _check_empty(node: Node) -> None:
    """No file of ours, no held GPU, no mode that nobody wants, and the slices are the inventory."""
    (process,) = node.processes
    assert not process.claims.records
    left = [path.name for path in node.disk.records.iterdir() if ".corrupt" not in path.name]
    assert not left, left
    documents = [path.name for path in node.disk.cdi.iterdir()]
    assert documents == [FOREIGN[0]], documents
    assert (node.disk.cdi / FOREIGN[0]).read_bytes() == FOREIGN[1]
    assert not node.idle_mode or not node.hardware.find_left(node.idle_mode), node.hardware.find_left(node.idle_mode)
    dynamic = process.publisher.support is not None and process.publisher.support.counters
    listing = list_devices(node.hardware.inventory, Layout(dynamic=dynamic))
    wanted = build_slices(
        tuple(describe(device)[0] for device in listing.devices), listing.counter_sets, node=NODE, node_uid="node-uid"
    )
    stored = list(node.server.slices.slices.values())
    assert len(stored) == len(wanted)
    for item in wanted:
        assert any((item.devices, item.shared_counters) == (also.devices, also.shared_counters) for also in stored)
    assert len({item.generation for item in stored}) == 1
    assert {item.slice_count for item in stored} == {len(wanted)}
