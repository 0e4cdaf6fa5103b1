"""Random histories: whatever is done, the tree is that of a node in the modes that it came to."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from amdgpu_dra.core.fakegpu import FleetSpec, shares
from amdgpu_dra.core.fakekernel import Kernel, Outcome, boot, describe, finish, obey, write
from amdgpu_dra.core.gpu import PciAddress, parse
from amdgpu_dra.core.models import COMPUTE_MODES, MODELS, partition_count
from amdgpu_dra.testing.strategies import fleets

MEMORY_MODES = ("NPS1", "NPS2", "NPS4", "NPS8")
GPU = st.integers(0, 3)


class Machine(RuleBasedStateMachine):
    """One kernel, and everything that can be done to it."""

    kernel: Kernel
    generation: int

    @initialize(fleet=fleets().filter(lambda fleet: bool(fleet.gpus)))
    def start(self, fleet: FleetSpec) -> None:
        """Any fleet."""
        self.kernel = boot(fleet)
        self.generation = self.kernel.history.generation

    def _address(self, number: int) -> PciAddress:
        gpus = self.kernel.fleet.gpus
        return gpus[number % len(gpus)].address

    def _take(self, outcome: Outcome, *, ended: bool = False) -> None:
        if outcome.errno is not None and not ended:
            assert outcome.kernel == self.kernel
        self.kernel = outcome.kernel

    @rule(number=GPU, mode=st.sampled_from((*COMPUTE_MODES, "spx", "", "X")))
    def write_compute(self, number: int, mode: str) -> None:
        """A compute mode, legal or not."""
        path = f"bus/pci/devices/{self._address(number)}/current_compute_partition"
        self._take(write(self.kernel, path, mode.encode()))

    @rule(number=GPU, mode=st.sampled_from(MEMORY_MODES))
    def write_memory(self, number: int, mode: str) -> None:
        """A memory mode, legal or not."""
        path = f"bus/pci/devices/{self._address(number)}/current_memory_partition"
        shown = self.kernel.tree
        self._take(write(self.kernel, path, mode.encode()))
        assert self.kernel.tree == shown

    @rule(number=GPU)
    def end_switch(self, number: int) -> None:
        """One of the switches under way, if there is one."""
        under_way = sorted(self.kernel.switching)
        if under_way:
            self._take(finish(self.kernel, under_way[number % len(under_way)]), ended=True)

    @rule(number=GPU, words=st.sampled_from(("unplug {}", "plug {}", "reset {} on", "reset {} off", "fail {} eio")))
    def befall(self, number: int, words: str) -> None:
        """Something happens to a GPU."""
        self._take(obey(self.kernel, words.format(self._address(number))))

    @rule(number=GPU, pid=st.integers(1, 3), hold=st.booleans())
    def use(self, number: int, pid: int, *, hold: bool) -> None:
        """A process comes or goes."""
        self._take(obey(self.kernel, f"hold {pid} {self._address(number)}" if hold else f"release {pid}"))

    @rule(word=st.sampled_from(("load", "unload", "reload", "reboot")))
    def restart(self, word: str) -> None:
        """The driver goes or comes."""
        outcome = obey(self.kernel, word)
        if outcome.errno is None:
            # A driver that was loaded anew counts from the start.
            self.generation = 0
        self._take(outcome)

    @invariant()
    def modes_are_legal(self) -> None:
        """No history leads to a pair of modes that the hardware does not have."""
        for gpu in self.kernel.fleet.gpus:
            if gpu.compute is not None and gpu.memory is not None:
                assert gpu.compute in MODELS[gpu.model].legal[gpu.memory]

    @invariant()
    def the_tree_states_the_fleet(self) -> None:
        """Every GPU that has nodes has as many as its mode, numbered from 0, with render nodes of their own."""
        inventory = parse(self.kernel.tree)
        if not self.kernel.loaded:
            assert inventory.gpus == ()
            return
        shown = {gpu.address: gpu for gpu in inventory.gpus}
        assert set(shown) == {gpu.address for gpu in self.kernel.present.gpus}
        having = {address for address, _ in self.kernel.history.nodes}
        assert not having & set(self.kernel.switching)
        for gpu in self.kernel.present.gpus:
            count = partition_count(gpu.compute, MODELS[gpu.model].xccs) if gpu.address in having else 0
            assert [part.index for part in shown[gpu.address].partitions] == list(range(count))
        renders = [part.render for gpu in inventory.gpus for part in gpu.partitions]
        assert None not in renders
        assert len(set(renders)) == len(renders)

    @invariant()
    def numbers_are_given_out_once(self) -> None:
        """DRM devices belong to GPUs that are there; no two nodes share a base, nor has one the next."""
        history, present = self.kernel.history, self.kernel.present
        assert set(history.drm) == ({gpu.address for gpu in present.gpus} if self.kernel.loaded else set())
        bases = [share.simd_id_base for share in shares(present, history)]
        assert len(set(bases)) == len(bases)
        assert all(base < history.base for base in bases)

    @invariant()
    def generation_never_falls(self) -> None:
        """It rises with every node that comes or goes."""
        now = self.kernel.history.generation
        assert now >= self.generation
        self.generation = now if self.kernel.loaded else 0

    @invariant()
    def a_driver_loaded_anew_forgets_the_order(self) -> None:
        """A reload of an idle node gives nodes in the order of the fleet, and the state can be told."""
        idle = replace(self.kernel, holders={}, switching={})
        loaded = obey(obey(idle, "unload").kernel, "load").kernel
        places = [gpu.address for gpu in loaded.present.gpus]
        assert [address for address, _ in loaded.history.nodes] == places
        assert describe(loaded)["loaded"]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
