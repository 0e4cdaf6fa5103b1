"""The API server asked with the token of a plugin's pod, from inside the pod: what it may do, and what it may not."""

import json
from typing import Any

from harness.cluster import Cluster
from harness.driver import NAMESPACE

type Request = tuple[str, str, object]
"""Method, path, and an object as its body; None for none."""

# Prints status and body of each request. The token is the one that the kubelet mounted, bound to pod and node.
_ASK = """
import json, os, ssl, sys, urllib.error, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount"
server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
headers = {"Authorization": "Bearer " + open(f"{account}/token").read(), "Content-Type": "application/json"}
context = ssl.create_default_context(cafile=f"{account}/ca.crt")
found = []
for method, path, body in json.loads(sys.argv[1]):
    text = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server + path, text, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, context=context)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found.append([answer.status, json.load(answer)])
print(json.dumps(found))
"""


def find_plugin_pod(cluster: Cluster, node: str) -> str:
    """The plugin's pod on a node."""
    pods = cluster.get("pods", namespace=NAMESPACE)
    (found,) = [
        pod["metadata"]["name"]
        for pod in pods
        if pod["spec"].get("nodeName") == node and "kubeletplugin" in pod["metadata"]["name"]
    ]
    return str(found)


def ask_as_plugin(cluster: Cluster, node: str, *requests: Request) -> list[tuple[int, Any]]:
    """Status and object with which the API server answers each request of the plugin of a node."""
    pod = find_plugin_pod(cluster, node)
    command = ["exec", "-n", NAMESPACE, pod, "--", "python3.13", "-I", "-c", _ASK, json.dumps(requests)]
    return [(status, body) for status, body in json.loads(cluster.kubectl(*command))]


def new_slice(version: str, name: str, node: str) -> dict[str, Any]:
    """An empty slice of the driver on a node."""
    return {
        "apiVersion": f"resource.k8s.io/{version}",
        "kind": "ResourceSlice",
        "metadata": {"name": name},
        "spec": {
            "driver": "gpu.amd.com",
            "nodeName": node,
            "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
        },
    }
