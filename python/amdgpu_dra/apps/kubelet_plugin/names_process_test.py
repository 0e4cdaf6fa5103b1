"""The real plugin with AMD's names for devices, over a reboot that numbers them anew."""

import shutil
import signal
from dataclasses import replace

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakenode import DRIVER, World, tell, until

FLAG = "--device-names=amd"


def test_claims_keep_their_gpu_or_get_an_error() -> None:
    """Published, prepared and answered by AMD's name; after its number is another GPU's, refused and still released."""

    async def act(world: World) -> None:
        plugin, kubelet = await world.start(FLAG)
        (item,) = await world.published()
        names = [device["name"] for device in item["spec"]["devices"]]
        assert names[:2] == ["gpu-0-128", "gpu-8-136"]
        claim = await world.claim("one", "gpu-8-136")
        uid = claim["metadata"]["uid"]
        (device,) = (await kubelet.prepare(claim))[uid].devices
        assert (device.device_name, list(device.request_names)) == ("gpu-8-136", ["gpu"])
        document = next(plugin.cdi.glob("*.json"))
        assert "/dev/dri/renderD136" in document.read_text()

        await plugin.stop(signal.SIGKILL)
        await kubelet.close()
        (plugin.registry / f"{DRIVER}-reg.sock").unlink()
        # The first GPU is gone from the bus, so that every number below is the next GPU's.
        fleet = read_fleet("mi300x-8-spx")
        shutil.rmtree(world.setting.tree)
        write_tree(render(replace(fleet, gpus=fleet.gpus[1:])), world.setting.tree, nodes=False)
        plugin, kubelet = await world.start(FLAG)
        await until(lambda: not document.exists())
        answer = (await kubelet.prepare(claim))[uid]
        assert "numbered anew" in answer.error
        assert not answer.devices
        assert (await kubelet.unprepare(claim))[uid].error == ""
        assert list(plugin.records.glob("*.json")) == []
        await plugin.stop()

    tell(act)
