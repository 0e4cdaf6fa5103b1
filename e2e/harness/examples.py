"""The manifests of docs/examples: applied as they are, but that containers run the probe in this build's image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from harness.cluster import Cluster
from harness.look import pod_manifest

_EXAMPLES = Path("docs/examples")
# What makes a container one of the probe; the rest of an example's container stays.
_REPLACED = ("image", "imagePullPolicy", "command", "volumeMounts")


def apply_example(cluster: Cluster, namespace: str, example: str) -> None:
    """Applies an example: for a dry run of the API server word by word, then with the probe in its containers."""
    text = (_EXAMPLES / f"{example}.yaml").read_text()
    cluster.kubectl("apply", "--dry-run=server", "--namespace", namespace, "-f", "-", text=text)
    cluster.apply(yaml.safe_dump_all(_with_probe(text)), namespace)


def delete_example(cluster: Cluster, namespace: str, example: str) -> None:
    """Deletes its objects; returns when they are gone."""
    text = (_EXAMPLES / f"{example}.yaml").read_text()
    cluster.kubectl("delete", "-n", namespace, "--wait", "--timeout=60s", "-f", "-", text=text, timeout=90)


def _with_probe(text: str) -> Iterator[dict[str, Any]]:
    probe = yaml.safe_load(pod_manifest("probe", "none"))["spec"]
    (container,) = probe["containers"]
    for item in yaml.safe_load_all(text):
        if item["kind"] == "Pod":
            item["spec"] |= {name: probe[name] for name in ("terminationGracePeriodSeconds", "volumes")}
            for each in item["spec"]["containers"]:
                each |= {name: container[name] for name in _REPLACED}
        yield item
