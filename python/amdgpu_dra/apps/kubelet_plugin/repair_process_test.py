"""What the real process mends at its start: what was lost, orphaned or moved while it was down."""

import json
import shutil
from dataclasses import replace

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakenode import World, tell, until

FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"


def test_a_start_mends_what_was_lost_meanwhile() -> None:
    """A lost document is written again, a deleted claim and a document of nobody leave nothing; no call is needed."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        stays, goes = await world.claim("stays", FIRST), await world.claim("goes", SECOND)
        await kubelet.prepare(stays)
        await kubelet.prepare(goes)
        (document,) = plugin.cdi.glob(f"*{stays['metadata']['uid']}*")
        before, orphan = document.read_bytes(), plugin.cdi / "k8s.gpu.amd.com-gpu_nobody.json"
        await world.crash(plugin, kubelet)
        orphan.write_bytes(before.replace(b"claim=default/stays", b"claim=default/nobody"))
        document.unlink()
        await world.client.drop_claim("goes")

        plugin, kubelet = await world.start("--rescan-interval=0.1")
        await until(lambda: list(plugin.cdi.glob("*.json")) == [document])
        await until(lambda: len(list(plugin.records.glob("*.json"))) == 1)
        assert before == document.read_bytes()
        await plugin.stop()

    tell(story)


def test_a_folder_that_is_wiped_beneath_it_is_healed_by_the_repeat() -> None:
    """The CDI folder goes while the plugin runs and the API server is away: the same answer, the same document."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        first = (await kubelet.prepare(claim))[claim["metadata"]["uid"]]
        (document,) = plugin.cdi.glob("*.json")
        before = document.read_bytes()
        await world.api.stop()
        shutil.rmtree(plugin.cdi)

        assert first == (await kubelet.prepare(claim))[claim["metadata"]["uid"]]
        assert before == document.read_bytes()
        await plugin.stop()

    tell(story)


def test_a_corrupt_record_is_kept_and_made_anew() -> None:
    """Cut in half, it is set aside under its name; a record as before is made of document and API, others unharmed."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claims = [await world.claim("c", FIRST), await world.claim("d", SECOND)]
        for claim in claims:
            await world.reserve(claim)
            await kubelet.prepare(claim)
        record = plugin.records / f"{claims[0]['metadata']['uid']}.json"
        other = plugin.records / f"{claims[1]['metadata']['uid']}.json"
        before, others = record.read_bytes(), other.read_bytes()
        await world.crash(plugin, kubelet)
        record.write_bytes(before[: len(before) // 2])

        plugin, kubelet = await world.start()
        await until(lambda: record.read_bytes() == before)
        assert other.read_bytes() == others
        assert record.with_name(f"{record.name}.corrupt").read_bytes() == before[: len(before) // 2]
        assert (await kubelet.unprepare(claims[0]))[claims[0]["metadata"]["uid"]].error == ""
        assert list(plugin.records.glob("*.json")) == [other]
        await plugin.stop()

    tell(story)


def test_numbers_that_moved_with_a_reboot_are_written_anew() -> None:
    """Another major of /dev/kfd and other minors: documents follow the GPU, go with it and come back."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        gone, moved = await world.claim("gone", FIRST), await world.claim("moved", SECOND)
        await kubelet.prepare(gone)
        await kubelet.prepare(moved)
        (document,) = plugin.cdi.glob(f"*{moved['metadata']['uid']}*")
        before = document.read_text()
        await world.crash(plugin, kubelet)
        fleet = read_fleet("mi300x-8-spx")
        write_tree(render(replace(fleet, gpus=fleet.gpus[1:], kfd_major=511)), world.setting.tree, nodes=False)

        plugin, kubelet = await world.start()
        await until(lambda: list(plugin.cdi.glob("*.json")) == [document] and document.read_text() != before)
        edits = json.loads(document.read_text())["devices"][0]["containerEdits"]["deviceNodes"]
        assert [(node["path"], node["major"]) for node in edits][::2] == [
            ("/dev/kfd", 511),
            ("/dev/dri/renderD128", 226),
        ]
        assert len(list(plugin.records.glob("*.json"))) == 2

        write_tree(render(replace(fleet, kfd_major=511)), world.setting.tree, nodes=False)
        await until(lambda: len(list(plugin.cdi.glob("*.json"))) == 2)
        await plugin.stop()

    tell(story)
