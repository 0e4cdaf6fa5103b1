"""What must be when all trouble is over: everybody's claims as they were, and after their end nothing at all."""

from amdgpu_dra.core.devices import Layout, describe, list_devices
from amdgpu_dra.core.slices import build_slices
from amdgpu_dra.testing.model.kubelet import Story, gpu_and_mode
from amdgpu_dra.testing.model.node import FOREIGN, Node
from amdgpu_dra.testing.model.process import NODE

# Longer than the longest back-off and the rescan.
_LONG = 130.0


def calm(node: Node) -> None:
    """Ends all trouble, lets the kubelet finish what it has begun, and then every pod; looks after each."""
    _make_well(node)
    _check_claims(node)
    _end_all(node)
    _check_empty(node)


def _make_well(node: Node) -> None:
    node.disk.fault = None
    node.server.set_down(down=False)
    node.settle(_LONG)
    node.kill()
    node.finish_switches()
    hardware = node.hardware
    for pid in list(hardware.kernel.holders):
        hardware.obey(f"release {pid}")
    for gpu in hardware.kernel.fleet.gpus:
        for line in (f"plug {gpu.address}", f"reset {gpu.address} off", f"fail {gpu.address} off"):
            hardware.obey(line)
    hardware.obey("load")
    node.start()
    node.settle(_LONG)
    node.check()


def _same_boards(node: Node, story: Story) -> bool:
    """Whether the GPUs that a claim has are those that it had."""
    now = {str(gpu.address): f"{gpu.unique_id:016x}" for gpu in node.hardware.kernel.fleet.gpus}
    return all(now.get(gpu_and_mode(device)[0]) == board for device, board in story.boards.items())


def _check_claims(node: Node) -> None:
    """Every claim that the kubelet was told of is there, and prepared again it is what it was."""
    assert node.process is not None
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
            node.check_document(story)
        else:
            assert node.counts["refusals"] == refused + 1, f"{story.ref} was given another GPU"


def _end_all(node: Node) -> None:
    """Every pod ends, and its claim with it."""
    refused = node.counts["refusals"]
    for story in node.stories.values():
        if story.called:
            node.call("unprepare", [story.ref.uid])
    node.settle()
    assert node.counts["refusals"] == refused
    for story in node.stories.values():
        if not story.deleted:
            story.deleted = True
            del node.server.claims.claims[story.ref.namespace, story.ref.name]
    node.settle(_LONG)


def _check_empty(node: Node) -> None:
    """No file of ours, no held GPU, no mode that nobody wants, and the slices are the inventory."""
    process = node.process
    assert process is not None
    assert not process.claims.records
    left = [path.name for path in node.disk.records.iterdir() if ".corrupt" not in path.name]
    assert not left, left
    documents = [path.name for path in node.disk.cdi.iterdir()]
    assert documents == [FOREIGN[0]], documents
    assert (node.disk.cdi / FOREIGN[0]).read_bytes() == FOREIGN[1]
    assert not node.idle_mode or not set(node.hardware.set_by_us.values()) - {node.idle_mode}, node.hardware.set_by_us
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
