"""Whoever reads the tree, it is known that somebody looked, and whether it gave an answer."""

import asyncio

import pytest

from amdgpu_dra.agent.claims import Survey
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.devices import Listing, list_devices
from amdgpu_dra.core.gpu import Inventory, PciAddress
from amdgpu_dra.testing.fakes import FakeInstances, FakeTree


class Tree(FakeTree):
    """A tree that is away while `down`."""

    down = False

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """See the port."""
        if self.down:
            raise HostError("sysfs root /sys", expected="a folder", found="none", action="mount it")
        return await super().read_inventory(without_modes=without_modes)


def test_looks_are_told_before_what_they_found() -> None:
    """A reading, then a failed one, which is raised as well, then another; what was found stays meanwhile."""

    async def story() -> None:
        tree = Tree(Inventory(generation=1))
        survey, told = Survey(tree, FakeInstances()), list[str]()

        def offer(inventory: Inventory) -> Listing:
            told.append("offer")
            return list_devices(inventory)

        survey.on_look, survey.offer = told.append, offer
        await survey.refresh()
        tree.down = True
        with pytest.raises(HostError):
            await survey.refresh()
        assert survey.inventory == tree.inventory
        tree.down = False
        await survey.refresh()
        failed = "sysfs root /sys: expected a folder, found none; mount it"
        assert told == ["", "offer", failed, "", "offer"]

    asyncio.run(story())


def test_offering_anew_is_no_look() -> None:
    """An inventory that is only listed anew is as old as it was."""

    async def story() -> None:
        survey, told = Survey(Tree(Inventory(generation=1)), FakeInstances()), list[str]()
        survey.on_look = told.append
        await survey.refresh()
        survey.relist()
        await survey.get_listing()
        assert told == [""]

    asyncio.run(story())
