"""Asks for devices for claims, node by node."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from amdgpu_dra.core.allocate.errors import AllocationError, StepLimitError
from amdgpu_dra.core.allocate.features import Features, choose_variant
from amdgpu_dra.core.allocate.model import Claim, DeviceClass, DeviceId, Node
from amdgpu_dra.core.allocate.placing import Placing
from amdgpu_dra.core.allocate.pools import Inventory, Pool
from amdgpu_dra.core.allocate.preflight import Plan, Preflight
from amdgpu_dra.core.allocate.result import Json, render_results
from amdgpu_dra.core.allocate.search import Search
from amdgpu_dra.core.allocate.selectors import SelectorCache
from amdgpu_dra.core.allocate.state import AllocatedState
from amdgpu_dra.core.allocate.wanted import Context

MOST_STEPS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """Devices for every claim: AllocationResults (v1 JSON) in the order of the claims, and the bare devices of each.

    Share IDs count from 0 in the order of the results; whoever writes a status gives them real ones.
    """

    results: tuple[Json, ...]
    devices: tuple[tuple[DeviceId, ...], ...]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsatisfiable:
    """This node cannot serve the claims together."""

    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Upstream's error: the whole attempt ends, or only this node's if `node_local`."""

    text: str
    node_local: bool
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimit:
    """The search was ended by its limit: not known whether this node can serve the claims."""

    steps: int


type Outcome = Allocated | Unsatisfiable | Failed | StepLimit


class Allocator:
    """Decides as kube-scheduler does, in the order in which it does. It can be asked for many nodes.

    Args:
        features: which features of the cluster are on.
        state: what is allocated already.
        classes: every DeviceClass.
        inventory: every ResourceSlice. Share one among allocators while the slices are the same.
        selectors: compiled expressions; share one among allocators.
        channel: stable, incubating or experimental; empty for the one that the features lead to.
        most_steps: limit of the search, in upstream's steps.
        pruned: stop looking where too few devices are left; the answer is the same.
    """

    def __init__(  # noqa: PLR0913 (keywords, of which most are left out)
        self,
        features: Features,
        state: AllocatedState,
        classes: Iterable[DeviceClass],
        inventory: Inventory,
        *,
        selectors: SelectorCache | None = None,
        channel: str = "",
        most_steps: int = MOST_STEPS,
        pruned: bool = True,
    ) -> None:
        self.features, self.state, self.inventory = features, state, inventory
        self.classes: Mapping[str, DeviceClass] = {item.name: item for item in reversed(tuple(classes))}
        self.selectors = selectors if selectors is not None else SelectorCache()
        self._channel, self._most_steps, self._pruned = channel, most_steps, pruned

    def allocate(self, node: Node, claims: Sequence[Claim]) -> Outcome:
        """Devices of this node for all of the claims."""
        search: Search | None = None
        try:
            context, pools, plan = self.prepare(node, claims)
            placing = Placing(context, pools, len(claims))
            search = Search(plan, placing, self._most_steps, pruned=self._pruned)
            if search.run():
                devices = tuple(tuple(item.device.id for item in row) for row in placing.results)
                results = self._render(context, placing, search, plan, claims)
                return Allocated(results=results, devices=devices, steps=search.steps)
        except AllocationError as error:
            return Failed(text=error.text, node_local=error.node_local, steps=search.steps if search else 0)
        except StepLimitError:
            return StepLimit(steps=self._most_steps)
        if any(pool.invalid for pool in pools):
            return Failed(text="invalid resource pools were encountered", node_local=True, steps=search.steps)
        return Unsatisfiable(steps=search.steps)

    def prepare(self, node: Node, claims: Sequence[Claim]) -> tuple[Context, tuple[Pool, ...], Plan]:
        """What a search for these claims starts from.

        Raises:
            AllocationError: the claims cannot be searched for.
        """
        try:
            variant = choose_variant(self.features, self._channel)
        except ValueError as error:
            raise AllocationError(str(error)) from None
        context = Context(self.features, variant, self.state, node)
        pools = self.inventory.gather(node, self.features, variant)
        context.devices = pools[0].devices if len(pools) == 1 else tuple(d for pool in pools for d in pool.devices)
        return context, pools, Preflight(context, self.classes, pools, self.selectors).plan(claims)

    def _render(
        self, context: Context, placing: Placing, search: Search, plan: Plan, claims: Sequence[Claim]
    ) -> tuple[Json, ...]:
        chosen = [
            [alternatives[search.chosen.get((i, j), 0)] for j, alternatives in enumerate(requests)]
            for i, requests in enumerate(plan)
        ]
        count = iter(range(1 << 48))
        return render_results(
            context, placing.results, chosen, claims, lambda: f"00000000-0000-4000-8000-{next(count):012x}"
        )
