"""Checks a claim, and plans what a Prepare writes and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from amdgpu_dra.api.checkpoint import HeldDevice, Record, State
from amdgpu_dra.api.config import decode_config
from amdgpu_dra.api.errors import ClaimError, HostError
from amdgpu_dra.api.resource import Claim, DeviceResult, OpaqueConfig
from amdgpu_dra.core.cdi import CdiDevice, build_spec, cdi_id
from amdgpu_dra.core.claims.guard import split_name
from amdgpu_dra.core.devices import Listing, NodeDevice, device_name
from amdgpu_dra.core.gpu import DeviceNode, PciAddress
from amdgpu_dra.core.slices import DRIVER
from amdgpu_dra.core.switch import Switch

_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDevice:
    """What the kubelet is told of one device."""

    request: str
    pool: str
    device: str
    cdi_ids: tuple[str, ...]
    share_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a Prepare needs: device nodes to check, the CDI document, and the answer."""

    nodes: tuple[DeviceNode, ...]
    spec: Mapping[str, Any]
    devices: tuple[PlannedDevice, ...]


def plan_claim(claim: Claim, uid: str, *, node: str, listing: Listing, boot_id: str) -> Record:
    """Checks a claim that was fetched for a Prepare, and gives the record to keep.

    Results of other drivers and other pools are not ours and are passed over, unless nothing is left: a pod would start
    without a device.

    Raises:
        ClaimError: replaced by another claim of the same name, not allocated, without a device of ours or with one
            twice, or with a configuration that is wrong.
        HostError: a device that was allocated does not exist.
    """
    where = f"claim {claim.namespace}/{claim.name}"
    if claim.uid != uid:
        raise ClaimError(
            where,
            expected=f"UID {uid}",
            found=f"another claim of that name, UID {claim.uid}",
            action="the pod of the old claim has to go first; the kubelet tries again by itself",
        )
    if claim.results is None:
        raise ClaimError(
            where,
            expected="an allocation in its status",
            found="none",
            action="wait for the scheduler; if a pod waits for long, see kubectl describe resourceclaim",
        )
    _check_configs(claim, where)
    ours = [result for result in claim.results if result.driver == DRIVER and result.pool == node]
    _check_results(claim.results, ours, node=node, where=where)
    return Record(
        uid=uid,
        namespace=claim.namespace,
        name=claim.name,
        state=State.PREPARING,
        boot_id=boot_id,
        devices=tuple(_held(result, listing, where) for result in ours),
    )


def _check_results(results: tuple[DeviceResult, ...], ours: list[DeviceResult], *, node: str, where: str) -> None:
    """Refuses what no scheduler allocates: nothing of ours, or a device twice to have alone."""
    if not ours:
        found = ", ".join(sorted({f"driver {item.driver} in pool {item.pool}" for item in results})[:_SHOWN])
        raise ClaimError(
            where,
            expected=f"a device of driver {DRIVER} in pool {node} in status.allocation.devices.results",
            found=found or "no device at all",
            action="delete the pod so that the claim is allocated anew; a kubelet asks only the drivers of a claim",
        )
    first: dict[str, DeviceResult] = {}
    for result in ours:
        if result.admin_access:
            continue
        other = first.setdefault(result.device, result)
        if other is not result and (None in (other.share_id, result.share_id) or other.share_id == result.share_id):
            raise ClaimError(
                where,
                expected=f"device {result.device} once in status.allocation.devices.results",
                found=f"it is there for request {other.request} and for request {result.request}",
                action="delete the claim so that it is allocated anew; a scheduler does not allocate a device twice",
            )


def _check_configs(claim: Claim, where: str) -> None:
    errors = [
        error
        for config in claim.configs
        if config.driver == DRIVER and _concerns(config, claim.results or ())
        for error in decode_config(config.parameters, config.path)
    ]
    if errors:
        raise ClaimError(
            where,
            expected="valid configurations of this driver",
            found="; ".join(map(str, errors)),
            action="correct the claim, its template or the DeviceClass, and make the claim anew",
        )


def _concerns(config: OpaqueConfig, results: tuple[DeviceResult, ...]) -> bool:
    """Whether it is meant for any device of ours; `name` covers every sub-request `name/…`."""
    ours = [result for result in results if result.driver == DRIVER]
    return any(not config.requests or {r.request, r.base_request} & set(config.requests) for r in ours)


def _held(result: DeviceResult, listing: Listing, where: str) -> HeldDevice:
    device = _get(listing, result.device, where)
    return HeldDevice(
        request=result.request,
        pool=result.pool,
        device=device.name,
        admin_access=result.admin_access,
        share_id=result.share_id,
        unique_id=device.gpu.unique_id,
        alias="" if result.device == device.name else result.device,
    )


def _get(listing: Listing, name: str, where: str) -> NodeDevice:
    device = listing.find_published(name)
    if device is None:
        raise HostError(
            where,
            expected=f"device {name} on this node",
            found=_instead(listing, name),
            action="the GPU has gone or its compute mode was changed: delete the pod so that the claim is allocated "
            "anew, or bring the GPU back",
        )
    return device


def _instead(listing: Listing, name: str) -> str:
    """What there is of the GPU of a device that does not exist; else the devices that do."""
    gpu, mode = split_name(name)
    siblings = [device for device in listing.devices if split_name(device.name)[0] == gpu]
    if siblings:
        of = siblings[0].gpu
        why = [item.detail for item in listing.withheld if f"{mode} of GPU {of.address}" == item.what]
        return f"GPU {of.address} in mode {of.compute_mode} and not {mode}" + "".join(f" ({text})" for text in why)
    item = next((item for item in listing.withheld if device_name(item.gpu, None, 0) == gpu), None)
    if item is not None:
        return f"no device of GPU {item.gpu} ({item.what}: {item.detail})"
    names = [device.published for device in listing.devices]
    return (
        ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        or "no device at all"
    )


def find_switch(listing: Listing, address: PciAddress, mode: str) -> Switch | None:
    """The switch of a GPU to a mode; None if it is in that mode, or the mode is not offered."""
    devices = [device for device in listing.of_gpu(address) if device.mode == mode]
    if not devices or any(device.is_current for device in devices):
        return None
    return Switch(address=address, mode=mode, indices=frozenset(device.partition.index for device in devices))


def find_switches(record: Record, listing: Listing) -> tuple[Switch, ...]:
    """What has to be switched for a claim, by address. Admin access takes a GPU as it is.

    Raises:
        HostError: a device is gone, or another GPU stands at its address.
        ClaimError: two devices of the claim are of different modes of one GPU.
    """
    where = f"claim {record.namespace}/{record.name}"
    wanted: dict[PciAddress, NodeDevice] = {}
    for held in record.devices:
        device = _identify(held, listing, where)
        if held.admin_access:
            continue
        other = wanted.setdefault(device.gpu.address, device)
        if other.mode != device.mode:
            raise ClaimError(
                where,
                expected=f"devices of one mode of GPU {device.gpu.address}",
                found=f"{other.name} ({other.mode}) and {device.name} ({device.mode})",
                action="report this: the scheduler should not allocate both",
            )
    switches = (find_switch(listing, address, wanted[address].mode or "") for address in sorted(wanted))
    return tuple(switch for switch in switches if switch is not None)


def _identify(held: HeldDevice, listing: Listing, where: str) -> NodeDevice:
    """The device, if it is of the GPU that was allocated, and its alias has not become another's."""
    device = _get(listing, held.device, where)
    _check_alias(held, listing.find_published(held.alias) if held.alias else None, where)
    if held.unique_id is not None and device.gpu.unique_id not in (None, held.unique_id):
        raise HostError(
            where,
            expected=f"the GPU with unique id {held.unique_id} as {held.device}",
            found=f"another GPU at {device.gpu.address}, unique id {device.gpu.unique_id}",
            action="the board was exchanged: delete the pod so that the claim is allocated anew",
        )
    return device


def _check_alias(held: HeldDevice, now: NodeDevice | None, where: str) -> None:
    """An alias that nothing has any more does no harm: the device goes by its own name."""
    if now is not None and now.name != held.device:
        raise HostError(
            where,
            expected=f"device {held.alias} to be {held.device}, as when it was allocated",
            found=f"{now.name} under that name",
            action="card and render nodes were numbered anew since: delete the pod so that the claim is allocated anew",
        )


def _nodes(held: HeldDevice, device: NodeDevice, listing: Listing, where: str) -> tuple[DeviceNode, ...]:
    """The nodes of a device that exists; for admin access to one that does not, those of all that do on its GPU."""
    if device.is_current:
        return device.nodes
    there = [item for item in listing.of_gpu(device.gpu.address) if item.is_current]
    if held.admin_access and there:
        return tuple(dict.fromkeys(node for item in there for node in item.nodes))
    raise HostError(
        where,
        expected=f"GPU {device.gpu.address} in mode {device.mode} for {device.name}",
        found=f"mode {device.gpu.compute_mode}" + ("" if there else ", and no partition"),
        action="it was changed by others in between: the next try switches it again",
    )


def newer_error(record: Record) -> HostError:
    """What a claim is answered whose record this driver does not know."""
    return HostError(
        f"claim {record.namespace}/{record.name}",
        expected="a record of a form that this version of the driver knows",
        found=f"one of driver version {record.writer}",
        action="upgrade the driver to that version again; before a downgrade, drain the node; to give the claim up, "
        f"delete its pods and {record.uid}.json in the plugin's folder `claims`, and restart the plugin",
    )


def carry_over(record: Record, old: Record | None) -> Record:
    """A record that takes the place of an older one: with what a newer driver has added to it, if it has the same.

    Raises:
        HostError: it was allocated by aliases, and by these the older one has other devices.
    """
    if old is None:
        return record
    # Of one whose alias nothing had when it was lost, it is not known which device it was.
    before = {device.device for device in old.devices if device.device not in {held.alias for held in record.devices}}
    for held in record.devices:
        if held.alias and before and held.device not in before:
            raise HostError(
                f"claim {record.namespace}/{record.name}",
                expected=f"device {held.alias} to be one of {', '.join(sorted(before))}, as when it was prepared",
                found=f"{held.device} under that name",
                action="card and render nodes were numbered anew since: delete the pod so that the claim is allocated "
                "anew",
            )
    devices = tuple(replace(device, later="") for device in old.devices)
    return replace(record, devices=old.devices, later=old.later) if devices == record.devices else record


def plan_record(record: Record, *, node: str, listing: Listing, dev_root: str) -> Plan:
    """What the record's devices need now. Numbers come from the listing, never from the record.

    Raises:
        HostError: a device is gone, or another GPU stands at its address.
    """
    where = f"claim {record.namespace}/{record.name}"
    found = []
    for position, held in enumerate(record.devices):
        device = _identify(held, listing, where)
        nodes = _nodes(held, device, listing, where)
        found.append((held, device, nodes, _cdi_name(record, position)))
    spec = build_spec(
        [
            CdiDevice(name=name, nodes=nodes, env=_env(record, held, device, nodes, node))
            for held, device, nodes, name in found
        ],
        dev_root=dev_root,
    )
    checked = dict.fromkeys(node for _, _, nodes, _ in found for node in nodes)
    answer = tuple(
        PlannedDevice(
            request=held.request.partition("/")[0],
            pool=held.pool,
            device=held.published,
            cdi_ids=(cdi_id(name),),
            share_id=held.share_id,
        )
        for held, _, _, name in found
    )
    return Plan(nodes=tuple(checked), spec=spec, devices=answer)


def _cdi_name(record: Record, position: int) -> str:
    """`<uid>-<device>`, never used twice; a device that stands in the claim twice gets its position as well."""
    name = record.devices[position].device
    twice = sum(held.device == name for held in record.devices) > 1
    return f"{record.uid}-{name}-{position}" if twice else f"{record.uid}-{name}"


def _env(
    record: Record, held: HeldDevice, device: NodeDevice, nodes: tuple[DeviceNode, ...], node: str
) -> dict[str, str]:
    """Variables of a device. One that differs by device has the device in its name, so that none hides another.

    ROCR_VISIBLE_DEVICES is not among them: ROCm numbers what the container may open, from 0.
    """
    profile = f"{device.gpu.compute_mode}_{device.gpu.memory_mode}".lower() if device.gpu.compute_mode else "whole"
    name = held.device.removeprefix("gpu-").upper().replace("-", "_")
    render = ",".join(f"/dev/{item.path}" for item in nodes if item.path.startswith("dri/renderD"))
    facts = f"pci={device.gpu.address} profile={profile} render={render}"
    return {
        "KUBERNETES_NODE_NAME": node,
        "DRA_RESOURCE_DRIVER_NAME": DRIVER,
        f"AMD_GPU_{name}": f"{facts} claim={record.namespace}/{record.name} request={held.request}",
    }
