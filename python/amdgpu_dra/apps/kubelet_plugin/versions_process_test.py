"""The real plugin while the API server's versions of resource.k8s.io come and go."""

import asyncio

from amdgpu_dra.testing.fakekubelet import free_port, probe
from amdgpu_dra.testing.fakenode import World, tell, until

GPU = "gpu-0000-05-00-0"


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(30):
        while not await probe(port, "readiness"):
            await asyncio.sleep(0.05)


def test_a_cluster_whose_api_comes_later_and_changes() -> None:
    """Without the API it is alive, not ready, and says why; then it publishes, and after an upgrade goes on in another.

    Claims that were prepared are held all the time.
    """

    async def act(world: World) -> None:
        port = free_port()
        world.api.serves = ()
        plugin, kubelet = await world.start(f"--healthcheck-port={port}", "--rescan-interval=0.1")
        await until(lambda: "found that the group is not served" in plugin.log.read_text())
        assert await probe(port, "liveness")
        assert not await probe(port, "readiness")

        world.api.serves = ("v1beta1", "v1")
        await _until_ready(port)
        claim = await world.claim("one", GPU)
        before = await kubelet.prepare(claim)
        assert before[claim["metadata"]["uid"]].error == ""

        world.api.serves = ("v1beta2",)
        world.api.end_watches()
        (world.setting.tree / "sys/bus/pci/devices/0000:26:00.0/current_memory_partition").write_text("NPS4\n")
        await until(lambda: ("PUT", f"/apis/resource.k8s.io/v1beta2/resourceslices/{_name(world)}") in _puts(world))
        assert "spoken as v1beta2" in plugin.log.read_text()
        assert await kubelet.prepare(claim) == before
        assert plugin.process.returncode is None
        assert (await kubelet.unprepare(claim))[claim["metadata"]["uid"]].error == ""
        await plugin.stop()

    tell(act)


def _name(world: World) -> str:
    return f"00000-gpu.amd.com-{world.setting.node}"


def _puts(world: World) -> list[tuple[str, str]]:
    return [request for request in world.api.requests if request[0] == "PUT"]
