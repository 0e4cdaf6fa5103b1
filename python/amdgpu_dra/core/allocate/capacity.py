"""How much of a device's capacity a request takes, and whether that is allowed (KEP-5075)."""

from collections.abc import Mapping

from amdgpu_dra.core.allocate.model import Capacity, Device, Policy
from amdgpu_dra.core.allocate.quantity import MAX_INT64, MILLI, NANO, Quantity, from_int

type Amounts = Mapping[str, Quantity]
"""Capacity name -> how much of it."""

_RANGE = "capacity request cannot be represented in the device's range arithmetic"


class CapacityError(ValueError):
    """A request that cannot be computed with; upstream ends the attempt."""


def amounts_of(requested: Amounts, device: Device, *, fractional: bool) -> Amounts | None:
    """What the request takes of every capacity of the device; None if it asks for one that the device has not.

    Raises:
        CapacityError: an amount is negative or too large to compute with.
    """
    if any(name not in device.capacity for name in requested):
        return None
    found = {}
    for name, capacity in device.capacity.items():
        amount = _amount(requested.get(name), capacity, name, fractional=fractional)
        if amount.nano < 0:
            raise CapacityError(f'capacity "{name}": capacity value is negative')
        found[name] = amount
    return found


def allowed(amounts: Amounts, device: Device, *, fractional: bool) -> bool:
    """Whether the policies of the device allow these amounts and it has them at all."""
    return all(
        not violates(amount, device.capacity[name].policy, fractional=fractional)
        and amount.nano <= device.capacity[name].value.nano
        for name, amount in amounts.items()
    )


def remaining(amounts: Amounts, device: Device, held: Mapping[str, int], taken: Mapping[str, int]) -> bool:
    """Whether the device still has these amounts, beside what claims hold and what is being allocated."""
    return all(
        held.get(name, 0) + taken.get(name, 0) + amount.nano <= device.capacity[name].value.nano
        for name, amount in amounts.items()
    )


def _amount(requested: Quantity | None, capacity: Capacity, name: str, *, fractional: bool) -> Quantity:
    policy = capacity.policy
    if requested is None:
        return policy.default if policy and policy.default else capacity.value
    if policy is None:
        return requested
    if policy.has_range and policy.least is not None:
        try:
            return _round_up(requested, policy, policy.least, fractional=fractional)
        except CapacityError as error:
            raise CapacityError(f'capacity "{name}": {error}') from None
    return next((value for value in policy.valid_values if requested.nano <= value.nano), requested)


def _round_up(requested: Quantity, policy: Policy, least: Quantity, *, fractional: bool) -> Quantity:
    """The next step from the least on, in the form of the step."""
    if requested.nano < least.nano:
        return least
    if policy.step is None:
        return requested
    unit = MILLI if fractional and _fits_milli(policy) else NANO
    if unit == MILLI and _milli(requested) is None:
        raise CapacityError(f"{_RANGE}: request {requested} is not a representable milli value")
    if unit == NANO and requested.nano > MAX_INT64 * NANO:
        raise CapacityError(f"{_RANGE}: request {requested} exceeds MaxInt64")
    step, start, wanted = (-(-item.nano // unit) for item in (policy.step, least, requested))
    steps = -(-(wanted - start) // step)
    if start >= 0 and steps > (MAX_INT64 - start) // step:
        raise CapacityError(f"{_RANGE}: rounding request {requested} up to the next step passes MaxInt64")
    value = start + step * steps
    if unit == MILLI and value % 1000 == 0:
        value, unit = value // 1000, NANO
    return from_int(value, unit, policy.step.format)


def violates(amount: Quantity, policy: Policy | None, *, fractional: bool) -> bool:
    """Whether the policy of a capacity forbids this amount."""
    if policy is None or (policy.default is not None and amount.exact and amount == policy.default):
        return False
    if policy.has_range:
        return _violates_range(amount, policy, fractional=fractional)
    return bool(policy.valid_values) and all(amount.nano != value.nano for value in policy.valid_values)


def _violates_range(amount: Quantity, policy: Policy, *, fractional: bool) -> bool:
    if policy.most is not None and amount.nano > policy.most.nano:
        return True
    if policy.step is None or policy.least is None:
        return False
    unit = MILLI if fractional and _fits_milli(policy) else NANO
    if unit == MILLI and _milli(amount) is None:
        return True
    step, start, wanted = (-(-item.nano // unit) for item in (policy.step, policy.least, amount))
    return (wanted - start) % step != 0


def _fits_milli(policy: Policy) -> bool:
    """Whether the range can be computed with in thousandths; a step below one cannot."""
    fits = all(_milli(item) is not None for item in (policy.least, policy.most, policy.step) if item is not None)
    return fits and (policy.step is None or policy.step.nano >= MILLI)


def _milli(value: Quantity) -> int | None:
    number, rest = divmod(value.nano, MILLI)
    return None if rest or abs(number) > MAX_INT64 else number
