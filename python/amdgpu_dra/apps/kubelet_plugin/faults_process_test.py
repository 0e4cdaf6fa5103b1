"""The faults that users of other drivers report, on the real process: each costs nobody anything."""

import json
import signal
from typing import Any

from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, resolve
from amdgpu_dra.testing.fakenode import DRIVER, NODE, World, tell

FIRST, SECOND, THIRD = "gpu-0000-05-00-0", "gpu-0000-26-00-0", "gpu-0000-46-00-0"
SPEC = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}


def _uid(claim: dict[str, Any]) -> str:
    return str(claim["metadata"]["uid"])


async def _kill(plugin: Plugin, kubelet: FakeKubelet) -> None:
    await plugin.stop(signal.SIGKILL)
    await kubelet.close()
    (plugin.registry / f"{DRIVER}-reg.sock").unlink()


def test_a_truncated_checkpoint_costs_its_own_claim_alone() -> None:
    """Whatever is left of a record: its claim is unprepared, and the others are held as before. No call fails."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claims = [await world.claim(name, device) for name, device in (("a", FIRST), ("b", SECOND), ("c", THIRD))]
        kept = await kubelet.prepare(*claims)
        await _kill(plugin, kubelet)
        for claim, left in zip(claims, (0, 25), strict=False):
            record = plugin.records / f"{_uid(claim)}.json"
            record.write_bytes(record.read_bytes()[:left])

        plugin, kubelet = await world.start()
        assert (await kubelet.unprepare(claims[0]))[_uid(claims[0])].error == ""
        assert (await kubelet.prepare(claims[1]))[_uid(claims[1])] == kept[_uid(claims[1])]
        other = await world.claim("other", THIRD)
        assert "prepared for claim default/c" in (await kubelet.prepare(other))[_uid(other)].error
        for claim in claims[1:]:
            assert (await kubelet.unprepare(claim))[_uid(claim)].error == ""
        assert not list(plugin.records.glob("*.json"))
        await plugin.stop()

    tell(story)


def test_half_files_of_a_killed_process_are_gone_after_its_next_start() -> None:
    """Of records and of CDI documents; another driver's stay."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await _kill(plugin, kubelet)
        halves = [plugin.records / ".u.json.tmp", plugin.cdi / ".k8s.gpu.amd.com-gpu_u.json.tmp"]
        foreign = plugin.cdi / ".vendor.example.org-x.json.tmp"
        for path in (*halves, foreign):
            path.write_text("half")

        plugin, _ = await world.start()
        assert not [path for path in halves if path.exists()]
        assert foreign.exists()
        await plugin.stop()

    tell(story)


def test_missing_unallocated_and_replaced_claims_of_a_batch_fail_alone() -> None:
    """Four claims in one call: three are refused, each with its own reason, and the fourth is prepared."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        good = await world.claim("good", FIRST)
        unallocated = await world.client.make_claim("unallocated", SPEC, None)
        replaced = await world.claim("replaced", SECOND)
        await world.client.drop_claim("replaced")
        await world.claim("replaced", THIRD)
        missing = {"metadata": {"namespace": "default", "name": "missing", "uid": "missing"}}
        answers = await kubelet.prepare(missing, unallocated, replaced, good)

        assert answers[_uid(good)].error == ""
        assert answers[_uid(good)].devices[0].pool_name == NODE
        assert "found none of that name" in answers["missing"].error
        assert "expected an allocation in its status" in answers[_uid(unallocated)].error
        assert "another claim of that name" in answers[_uid(replaced)].error
        await plugin.stop()

    tell(story)


def test_a_foreign_class_of_one_letter_is_survived_and_never_written() -> None:
    """The document that crashes the Go library for CDI lies in the folder all the time, and stays as it is."""

    async def story(world: World) -> None:
        cdi = world.setting.work / "cdi"
        cdi.mkdir()
        foreign = cdi / "vendor.example.org-x.json"
        text = '{"cdiVersion": "0.5.0", "kind": "vendor.example.org/x", "devices": []}'
        foreign.write_text(text)
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        answer = (await kubelet.prepare(claim))[_uid(claim)]
        (ours,) = set(cdi.glob("*.json")) - {foreign}
        assert len(json.loads(ours.read_text())["kind"].partition("/")[2]) > 1
        foreign.unlink()
        assert resolve(cdi, [ident for device in answer.devices for ident in device.cdi_device_ids])["nodes"]
        foreign.write_text(text)
        await _kill(plugin, kubelet)

        plugin, kubelet = await world.start()
        assert (await kubelet.unprepare(claim))[_uid(claim)].error == ""
        assert [path.name for path in cdi.iterdir()] == [foreign.name]
        assert foreign.read_text() == text
        await plugin.stop()

    tell(story)
