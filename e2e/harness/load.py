"""A load of pods with claims that come and go, and the ledger of what became of each.

Knows how pods are made, seen and ended through the API server. Refuses to know what is done to the node meanwhile.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.cluster import Cluster
from harness.host import CommandError
from harness.reports import Hold, parse_reports

_SCENARIO = Path("e2e/scenarios/soak.yaml")
_FOLDER = "/var/lib/soak"
_IMAGE = "localhost/amdgpu-dra/kubelet-plugin:dev"
# Seconds: how long a short pod holds its GPUs, a long one, and between two looks.
_SHORT, _LONG, _LOOK = 1.5, 25.0, 0.5


@dataclass(slots=True, kw_only=True)
class Entry:
    """A pod of the ledger; times are those of the API server, in seconds since 1970.

    Attributes:
        long: whether it stays until it is deleted.
        template: of its claim; empty if it has a claim of its own name.
        running_at: when it was first seen to run, by this process's clock.
        why: what the API server says of a condition that does not hold.
        told: whether it was told to end, before it ended by itself.
        gone: whether it was there once and is no longer.
        released: whether the API server has taken the deletion of its own claim after that.
    """

    name: str
    long: bool
    template: str
    gpus: int
    created: float = 0.0
    scheduled: float = 0.0
    running_at: float = 0.0
    phases: set[str] = field(default_factory=set)
    why: str = ""
    told: bool = False
    gone: bool = False
    released: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing more is to come of it but its end."""
        return bool(self.phases & {"Succeeded", "Failed"})

    @property
    def settled(self) -> bool:
        """Whether nothing of it is left that the load would have to delete."""
        return self.gone and (self.released or bool(self.template))

    def note(self, pod: dict[str, Any]) -> None:
        """Keeps what the API server says of it."""
        self.created = _seconds(pod["metadata"]["creationTimestamp"])
        self.phases.add(pod["status"].get("phase", ""))
        conditions = pod["status"].get("conditions", [])
        self.why = "; ".join(item["message"] for item in conditions if item["status"] != "True" and item.get("message"))
        for condition in conditions:
            if condition["type"] == "PodScheduled" and condition["status"] == "True":
                self.scheduled = _seconds(condition["lastTransitionTime"])
        if not self.running_at and pod["status"].get("phase") == "Running":
            self.running_at = time.monotonic()


class Load:
    """Keeps so many pods at once: two long ones, every fourth with a claim of its own, every fifth with two GPUs."""

    def __init__(self, cluster: Cluster, namespace: str, pods: int) -> None:
        self._cluster, self._namespace, self._pods = cluster, namespace, pods
        self.ledger: dict[str, Entry] = {}
        self.missed = 0
        self._draining = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Pods come and go beside what the caller does; afterwards no new ones are made."""
        stop = threading.Event()
        failures: list[Exception] = []

        def work() -> None:
            try:
                while not stop.wait(_LOOK):
                    self._try_step()
            except Exception as error:  # noqa: BLE001 - it belongs to the thread that waits
                failures.append(error)

        thread = threading.Thread(target=work, name="load")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._draining = True
        if failures:
            raise failures[0]

    def drain(self, *, seconds: float) -> None:
        """Lets every pod end; gives up after so long, and leaves the rest in the ledger."""
        deadline = time.monotonic() + seconds
        while not all(entry.settled for entry in self.ledger.values()) and time.monotonic() < deadline:
            self._try_step()
            time.sleep(_LOOK)

    def _try_step(self) -> None:
        """One look; while the API server does not answer there is nothing to see."""
        try:
            self._step()
        except CommandError:
            self.missed += 1

    def _step(self) -> None:
        found = json.loads(self._kubectl("get", "pods", "-o", "json"))["items"]
        there = {pod["metadata"]["name"]: pod for pod in found}
        for entry in self.ledger.values():
            if entry.name in there:
                entry.note(there[entry.name])
            elif entry.created:
                entry.gone = True
        ending = [entry for entry in self.ledger.values() if self._is_due(entry, there)]
        if ending:
            for entry in ending:
                entry.told = entry.told or not entry.done
            names = [f"pod/{entry.name}" for entry in ending]
            names += [f"resourceclaim/{entry.name}" for entry in ending if not entry.template]
            self._delete(names)
        # A deletion of both may have come to the pod alone.
        lingering = [entry for entry in self.ledger.values() if entry.gone and not entry.settled]
        if lingering:
            self._delete([f"resourceclaim/{entry.name}" for entry in lingering])
            for entry in lingering:
                entry.released = True
        missing = 0 if self._draining else self._pods - sum(not entry.gone for entry in self.ledger.values())
        for _ in range(missing):
            self._plan_pod()
        # Those of an earlier look of which nobody knows whether the API server has taken them, too.
        wanted = [entry for entry in self.ledger.values() if not entry.created]
        if wanted:
            manifest = "---\n".join(make_manifest(entry) for entry in wanted)
            self._kubectl("apply", "--server-side", "-f", "-", text=manifest)

    def _delete(self, names: Sequence[str]) -> None:
        self._kubectl("delete", "--wait=false", "--ignore-not-found", *names)

    def _is_due(self, entry: Entry, there: dict[str, Any]) -> bool:
        """Whether a pod shall be deleted now."""
        if entry.name not in there or "deletionTimestamp" in there[entry.name]["metadata"]:
            return False
        if not entry.long:
            return entry.done
        life = 1.0 if self._draining else _LONG
        return entry.done or (entry.running_at > 0 and time.monotonic() - entry.running_at > life)

    def _plan_pod(self) -> None:
        number = len(self.ledger)
        long = sum(entry.long and not entry.gone for entry in self.ledger.values()) < 2
        template = "" if number % 4 == 3 else "two" if number % 5 == 4 else "one"
        name = f"{'long' if long else 'short'}-{number}"
        self.ledger[name] = Entry(name=name, long=long, template=template, gpus=2 if template == "two" else 1)

    def _kubectl(self, *command: str, text: str | None = None) -> str:
        """With a deadline, so that an API server that hangs costs one look and no more."""
        return self._cluster.kubectl(
            *command, "--namespace", self._namespace, "--request-timeout=5s", text=text, timeout=20
        )


def prepare_load(cluster: Cluster, namespace: str) -> None:
    """Makes a namespace with what the pods refer to, and an empty folder for their reports."""
    cluster.make_namespace(namespace)
    cluster.apply(_SCENARIO.read_text(), namespace)
    cluster.in_node("sh", "-c", f"rm -rf {_FOLDER} && mkdir {_FOLDER}")


def read_reports(cluster: Cluster) -> list[Hold]:
    """What the pods wrote since then."""
    text = cluster.in_node("sh", "-c", f"cd {_FOLDER} && grep -H '' -- * || true")
    return parse_reports(text.splitlines())


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def make_manifest(entry: Entry) -> str:
    """A pod, and its claim if it has one of its own."""
    claim = {"resourceClaimTemplateName": entry.template} if entry.template else {"resourceClaimName": entry.name}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": entry.name},
        "spec": {
            # What a restart of the node ended is to run again, with the same GPUs.
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 10,
            "automountServiceAccountToken": False,
            "resourceClaims": [{"name": "gpu"} | claim],
            "volumes": [
                {"name": "program", "configMap": {"name": "soak"}},
                {"name": "reports", "hostPath": {"path": _FOLDER}},
            ],
            "containers": [
                {
                    "name": "work",
                    "image": _IMAGE,
                    "imagePullPolicy": "Never",
                    "command": ["python3.13", "-I", "/program/soak.py", *([] if entry.long else [str(_SHORT)])],
                    "env": [{"name": "POD", "value": entry.name}],
                    "volumeMounts": [
                        {"name": "program", "mountPath": "/program"},
                        {"name": "reports", "mountPath": "/soak"},
                    ],
                    "resources": {"claims": [{"name": "gpu"}]},
                }
            ],
        },
    }
    documents = [pod]
    if not entry.template:
        requests = [{"name": "gpu", "exactly": {"deviceClassName": "whole.gpu.amd.com"}}]
        claim_of_its_own = {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim",
            "metadata": {"name": entry.name},
            "spec": {"devices": {"requests": requests}},
        }
        # First: an API server that goes away between the two leaves no pod that waits for its claim.
        documents.insert(0, claim_of_its_own)
    return "---\n".join(json.dumps(document) + "\n" for document in documents)
