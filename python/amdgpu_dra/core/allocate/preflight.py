"""What is checked before the search: upstream's validateDeviceRequest, in its order."""

from collections.abc import Mapping, Sequence

from amdgpu_dra.core.allocate.constraints import Distinct, Lookup, Match, Rule, static_attribute
from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.model import Attribute, Claim, Device, DeviceClass, Request, RequestChoice
from amdgpu_dra.core.allocate.pools import Pool
from amdgpu_dra.core.allocate.search import MOST_RESULTS
from amdgpu_dra.core.allocate.selectors import Selector, SelectorCache
from amdgpu_dra.core.allocate.wanted import Context, Wanted
from amdgpu_dra.core.cel import CelRuntimeError

type Plan = tuple[tuple[tuple[Wanted, ...], ...], ...]
"""Claim, request, alternative."""


class Preflight:
    """Checks claims against features, classes and pools."""

    def __init__(
        self,
        context: Context,
        classes: Mapping[str, DeviceClass],
        pools: Sequence[Pool],
        cache: SelectorCache,
    ) -> None:
        self._context, self._classes, self._pools, self._cache = context, classes, pools, cache

    def plan(self, claims: Sequence[Claim]) -> Plan:
        """What every claim wants.

        Raises:
            AllocationError: upstream's fatal errors.
        """
        return tuple(self._claim(claim) for claim in claims)

    def _claim(self, claim: Claim) -> tuple[tuple[Wanted, ...], ...]:
        least, found = 0, []
        for choice in claim.requests:
            self._check_features(claim, choice)
            alternatives = tuple(self._request(claim, request) for request in choice.alternatives)
            count = min(item.count for item in alternatives)
            if count > MOST_RESULTS - least:
                raise AllocationError(
                    f"claim {claim}, request {choice.name}: adding {count} devices exceeds the claim limit of "
                    f"{MOST_RESULTS}, with {least} already accounted for"
                )
            least += count
            found.append(alternatives)
        rules = self._rules(claim)
        for item in (item for alternatives in found for item in alternatives):
            item.rules = tuple(rule for rule in rules if rule.constraint.applies(item.request))
        return tuple(found)

    def _check_features(self, claim: Claim, choice: RequestChoice) -> None:
        features = self._context.features
        if choice.prioritized and not features.prioritized_list:
            raise AllocationError(
                f"claim {claim}, request {choice.name}: has subrequests, but the DRAPrioritizedList feature is disabled"
            )
        if features.consumable_capacity or not self._context.variant.shares:
            return
        kind = "subrequest" if choice.prioritized else "request"
        for request in choice.alternatives:
            if request.has_capacity:
                raise AllocationError(
                    f"claim {claim}, {kind} {request.name}: has capacity requests, "
                    "but the DRAConsumableCapacity feature is disabled"
                )

    def _request(self, claim: Claim, request: Request) -> Wanted:
        where = f"claim {claim}, request {request.name}"
        context = self._context
        if request.derived and not (context.variant.derives and context.features.derived_attributes):
            raise AllocationError(f"{where}: cannot handle request with derived attributes, the feature is disabled")
        if None in request.selectors:
            at = request.selectors.index(None)
            raise AllocationError(f"{where}, selector #{at}: CEL expression empty (unsupported selector type?)")
        if request.admin_access is not None and not context.features.admin_access:
            raise AllocationError(f"{where}: admin access is requested, but the feature is disabled")
        if not request.class_name:
            raise AllocationError(f"{where}: missing device class name (unsupported request type?)")
        found = self._classes.get(request.class_name)
        if found is None:
            name = request.class_name
            raise AllocationError(f'{where}: could not retrieve device class {name}:  "{name}" not found')
        wanted = Wanted(context, claim, request, found)
        wanted.selectors = self._selectors(claim, request, found)
        self._count(wanted, where)
        return wanted

    def _selectors(self, claim: Claim, request: Request, found: DeviceClass) -> tuple[tuple[Selector, str], ...]:
        rows = [(text, f"class {found.name}: selector #{i}") for i, text in enumerate(found.selectors)]
        rows += [(text, f"claim {claim}: selector #{i}") for i, text in enumerate(request.selectors)]
        features, variant = self._context.features, self._context.variant
        return tuple((self._cache.selector(text or "", features, variant), where) for text, where in rows)

    def _count(self, wanted: Wanted, where: str) -> None:
        if wanted.request.mode == "ExactCount":
            wanted.count = wanted.request.count
        elif wanted.every is not None:
            wanted.every.extend(self._all(wanted, where))
            wanted.count = len(wanted.every)
        else:
            raise AllocationError(f"{where}: unsupported count mode {wanted.request.mode}")

    def _all(self, wanted: Wanted, where: str) -> list[int]:
        found, index = [], 0
        for pool in self._pools:
            if pool.incomplete or pool.invalid:
                state = "currently being updated" if pool.incomplete else "currently invalid"
                raise AllocationError(f"{where}: asks for all devices, but resource pool {pool} is {state}")
            for device in pool.devices:
                if self._is_one_of_all(wanted, index, device):
                    found.append(index)
                index += 1
        return found

    def _is_one_of_all(self, wanted: Wanted, index: int, device: Device) -> bool:
        if not wanted.selectable(device):
            return False
        if not self._context.features.consumable_capacity:
            return True
        return wanted.within_capacity(index, device, named=device.id.device)

    def _rules(self, claim: Claim) -> list[Rule]:
        rules: list[Rule] = []
        features, variant = self._context.features, self._context.variant
        for i, constraint in enumerate(claim.constraints):
            if constraint.match is not None:
                rules.append(Match(constraint, self._lookup(), lists=features.list_type_attributes))
            elif constraint.distinct is not None and variant.shares:
                rules.append(Distinct(constraint, self._lookup(), lists=features.list_type_attributes))
            else:
                raise AllocationError(
                    f"claim {claim}, constraint #{i}: empty constraint (unsupported constraint type?)"
                )
        return rules

    def _lookup(self) -> Lookup:
        cache, features = self._cache, self._context.features

        def look(request: Request, device: Device, name: str) -> Attribute | None:
            expression = request.derived.get(name)
            if expression is None:
                return static_attribute(device, name)
            derivation = cache.derivation(expression, features)
            if derivation.error is not None:
                raise AllocationError(f"compile derived attribute {name} failed: {derivation.error}")
            try:
                return derivation.of(device)
            except CelRuntimeError as error:
                text = f"evaluate derived attribute {name} on device {device.id} failed: {error}"
                raise AllocationError(text) from error

        return look
