"""`install`: the chart, and fake GPUs below it where the nodes have none of their own."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.faketree import read_fleet
from harness.cluster import DEV_IMAGE, Cluster
from harness.commands.create import DEFAULT_FLEET, check_fleet
from harness.commands.session import Session, Teller, hint
from harness.commands.uninstall import DRIVER, RELEASE, uninstall
from harness.driver import KERNEL_TREE, NAMESPACE, TREES, make_nodes, place_chart, values_of_tree, write_trees
from harness.host import CommandError
from harness.kernel import KERNEL_NAMESPACE, start_fake_kernel, stop_fake_kernel
from harness.state import Installation

_CLASS = "gpu.amd.com"
# Of a container that waits: nothing but another installation helps.
_HOPELESS = {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `install` is asked for.

    Attributes:
        kernel: fake GPUs by the fake kernel, which can also be switched.
        fleet: of fake GPUs; empty for those of `create`.
        image: repository and tag of the plugin; empty for what `load` loaded.
        kernel_image: of the fake kernel; empty for this build's.
        sets: further values of the chart, PATH=VALUE.
        files: files of values.
    """

    kernel: bool = False
    fleet: str = ""
    image: str = ""
    kernel_image: str = ""
    sets: Sequence[str] = ()
    files: Sequence[Path] = ()


def install(session: Session, teller: Teller, wanted: Wanted) -> None:
    """Installs the driver, or brings the one that is there to these values; what fails is taken back.

    Raises:
        UsageError: an image is missing, a file is, or something else's driver is there.
        CommandError: helm or the API server refuses, or the pods do not become ready; says why.
    """
    fleet = _choose_fleet(session, wanted)
    image = _choose_image(session, wanted)
    _check_files(wanted.files)
    before, cluster = session.state.installation, session.cluster
    if before is None:
        _refuse_foreign(cluster)
    wished = (NAMESPACE, KERNEL_NAMESPACE) if wanted.kernel else (NAMESPACE,)
    new = [name for name in wished if not cluster.get("namespaces", name=name)]
    made = (*(before.namespaces if before else ()), *new)
    now = Installation(fleet=fleet, kernel=wanted.kernel, namespaces=made, image=image, done=False)
    # Whatever happens from here on, `delete` knows what to take away.
    session.place.write(replace(session.state, installation=now))
    revision = _revision(cluster)
    try:
        _install(session, teller, wanted, now)
    except BaseException as error:
        why = _explain(cluster) if isinstance(error, CommandError) else ""
        _take_back(session, teller, now, revision)
        if why:
            raise CommandError(f"{error}{why}") from error
        raise
    if before is not None and before.kernel and not wanted.kernel:
        stop_fake_kernel(cluster)
    session.place.write(replace(session.state, installation=replace(now, done=True)))
    _say_next(session, teller, now)


def _revision(cluster: Cluster) -> int:
    """The number of the release's last change; 0 if there is none."""
    listed = cluster.helm("list", "--namespace", NAMESPACE, "--all", "--filter", f"^{RELEASE}$", "-o", "json")
    return max((int(each["revision"]) for each in json.loads(listed)), default=0)


def _take_back(session: Session, teller: Teller, now: Installation, revision: int) -> None:
    """After a failure: what was there before, which is the release of that revision or nothing."""
    before, cluster = session.state.installation, session.cluster
    if before is None:
        teller.step("failed; taking away what was installed")
        uninstall(cluster, now, teller)
        session.place.write(session.state)
        return
    if _revision(cluster) != revision:
        teller.step("failed; taking the change back")
        cluster.helm("rollback", RELEASE, str(revision), "--namespace", NAMESPACE, timeout=150)
        cluster.wait_rolled_out(NAMESPACE)
    kernel = before.kernel or now.kernel
    session.place.write(replace(session.state, installation=replace(before, namespaces=now.namespaces, kernel=kernel)))


def _choose_fleet(session: Session, wanted: Wanted) -> str:
    """Of which GPUs are faked; empty: none are."""
    if not session.cluster.has_nodes and not wanted.kernel:
        if wanted.fleet:
            raise UsageError(
                "--fleet",
                expected="--fake beside it: only the fake kernel puts GPUs into nodes that are not kind's",
                found=wanted.fleet,
                action="add --fake, or leave --fleet out for the GPUs that the nodes have",
            )
        return ""
    return check_fleet(wanted.fleet or session.state.fleet or DEFAULT_FLEET)


def _choose_image(session: Session, wanted: Wanted) -> str:
    if wanted.image:
        repository, colon, tag = wanted.image.rpartition(":")
        if not colon or not repository or not tag or "/" in tag:
            raise UsageError("--image", expected="REPOSITORY:TAG", found=wanted.image, action="name the tag as well")
        return wanted.image
    if not session.cluster.has_nodes:
        raise UsageError(
            "--image",
            expected="REGISTRY/REPOSITORY:TAG, from where the nodes can pull",
            found="none",
            action="push it by ./bazelw run //images:push -- REGISTRY/REPOSITORY TAG, and name it",
        )
    if not session.state.images:
        raise UsageError(
            f"cluster {session.name}",
            expected="the images of this build in its nodes",
            found="none: load has not run",
            action=f"load them: {hint('load', session.name)}",
        )
    return DEV_IMAGE


def _check_files(files: Sequence[Path]) -> None:
    for path in files:
        if not path.is_file():
            raise UsageError("--values", expected="a file", found=f"nothing at {path}", action="correct the path")


def _refuse_foreign(cluster: Cluster) -> None:
    """A second driver beside one that something else installed would take its classes and its sockets."""
    there = cluster.get("deviceclasses", name=_CLASS)
    if there:
        notes = there["metadata"].get("annotations", {})
        release = notes.get("meta.helm.sh/release-name", "")
        where = notes.get("meta.helm.sh/release-namespace", "")
        raise UsageError(
            f"DeviceClass {_CLASS}",
            expected="none: install makes it",
            found=f"one of release {release} in namespace {where}" if release else "one that something else made",
            action=f"run helm uninstall {release} --namespace {where}" if release else "remove that driver first",
        )


def _install(session: Session, teller: Teller, wanted: Wanted, now: Installation) -> None:
    cluster = session.cluster
    if now.kernel:
        teller.step(f"fake kernel with {now.fleet} on every node")
        start_fake_kernel(cluster, now.fleet, delay=1, image=wanted.kernel_image)
    elif now.fleet and now.fleet != session.state.fleet:
        teller.step(f"fake GPUs {now.fleet} in {TREES}/{now.fleet} of the node")
        write_trees(session.place.folder, read_fleet(now.fleet))
        make_nodes(cluster, read_fleet(now.fleet))
    teller.step(f"chart, as release {RELEASE} in namespace {NAMESPACE}, with image {now.image}")
    values = _values(now)
    pairs = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    sets = [part for value in wanted.sets for part in ("--set", value)]
    files = [part for path in _copy_files(cluster, wanted.files) for part in ("--values", path)]
    chart = str(place_chart(cluster))
    # Files first: to helm the last --set wins, over every file.
    options = ("--namespace", NAMESPACE, "--create-namespace", *files, *pairs, *sets)
    cluster.helm("upgrade", "--install", RELEASE, chart, *options, timeout=150)
    teller.step("waiting until its pods are ready: their slices are on the API server then")
    _wait_ready(cluster)


def _wait_ready(cluster: Cluster) -> None:
    """Returns when the driver's pods are ready. Raises CommandError after 90 s, or at once where waiting is in vain."""
    deadline = time.monotonic() + 90
    while True:
        try:
            cluster.wait_rolled_out(NAMESPACE, seconds=5)
        except CommandError:
            reasons = {reason for _, reason, _ in _complaints(cluster)}
            if reasons & _HOPELESS or time.monotonic() > deadline:
                raise
        else:
            return


def _values(now: Installation) -> Mapping[str, str]:
    repository, _, tag = now.image.rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "kubeletPlugin.containers.plugin.metricsPort": "9400",
    }
    if now.image == DEV_IMAGE:
        values["webhook.image.repository"] = repository.replace("kubelet-plugin", "webhook")
    if now.fleet:
        values |= values_of_tree(KERNEL_TREE if now.kernel else f"{TREES}/{now.fleet}")
    return values


def _copy_files(cluster: Cluster, files: Sequence[Path]) -> Sequence[str]:
    """Puts files where helm runs."""
    found = []
    for number, path in enumerate(files):
        copy = cluster.host.work / f"values-{number}.yaml"
        copy.write_bytes(path.read_bytes())
        found.append(str(copy))
    return found


def _explain(cluster: Cluster) -> str:
    """Why pods of the driver do not run, as far as the API server knows."""
    with suppress(CommandError):
        return "".join(f"\n  pod {pod}: {reason}: {message}" for pod, reason, message in _complaints(cluster))
    return ""


def _complaints(cluster: Cluster) -> Sequence[tuple[str, str, str]]:
    """Pod, reason and message of each container that waits, and of each pod that has no node."""
    found = []
    pods = [pod for name in (NAMESPACE, KERNEL_NAMESPACE) for pod in cluster.get("pods", namespace=name)]
    for pod in pods:
        status = pod["status"]
        waiting = [each["state"].get("waiting", {}) for each in status.get("containerStatuses", [])]
        unmet = [each for each in status.get("conditions", []) if each["type"] == "PodScheduled"]
        told = [each for each in (*waiting, *unmet) if each.get("message")]
        found += [(pod["metadata"]["name"], each.get("reason", ""), each["message"]) for each in told]
    return found


def installed_values(cluster: Cluster) -> Mapping[str, str]:
    """The values that were given to the chart, by path, as `--set` takes them."""
    found = json.loads(cluster.helm("get", "values", RELEASE, "--namespace", NAMESPACE, "-o", "json"))
    return dict(_flat(found or {}, ""))


def _flat(values: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    found = []
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            found += _flat(value, here)
        else:
            found.append((here, str(value).lower() if isinstance(value, bool) else str(value)))
    return found


def count_devices(cluster: Cluster) -> Mapping[str, int]:
    """Node -> how many devices it offers; nodes that offer none are left out."""
    devices: dict[str, int] = {}
    for item in cluster.get("resourceslices"):
        if item["spec"]["driver"] == DRIVER and (found := item["spec"].get("devices")):
            node = item["spec"]["nodeName"]
            devices[node] = devices.get(node, 0) + len(found)
    return devices


def _say_next(session: Session, teller: Teller, now: Installation) -> None:
    teller.step("done")
    teller.say()
    devices = count_devices(session.cluster)
    for node, count in sorted(devices.items()):
        teller.say(f"Node {node} offers {count} devices{f' of the fake GPUs {now.fleet}' if now.fleet else ''}.")
    if not devices:
        teller.say(f"No node offers a device. Without AMD GPUs: {hint('install', session.name, '--fake')}")
    teller.say(f"Next: run the scenarios         {hint('test', session.name)}")
    teller.say("      or a claim by hand: docs/tutorial/first-claim.md")
    teller.say(f"Look at what it offers:         {hint('kubectl', session.name, 'get', 'resourceslices')}")
