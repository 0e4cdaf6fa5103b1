"""What the chart renders by real Helm: golden files, and what must hold of every one of them."""

import os
from pathlib import Path
from typing import Any

import helm
import pytest

from amdgpu_dra.apps.kubelet_plugin.flags import FLAGS
from amdgpu_dra.apps.webhook.flags import CertificateOptions, ServeOptions, parse_flags
from amdgpu_dra.edge.admission import PATH

NAMES = sorted(path.stem for path in helm.VALUES.glob("*.yaml"))
IMAGE = ("--set", "image.repository=registry.example/plugin")
HOOK = (*IMAGE, "--set", "webhook.enabled=true")


def _pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (found,) = [item for name, item in objects.items() if name.startswith("DaemonSet/")]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def _container(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (found,) = _pod(objects)["containers"]
    plugin: dict[str, Any] = found
    return plugin


@pytest.mark.parametrize("name", NAMES)
def test_render_is_the_golden_one(name: str) -> None:
    """Each value set renders to its golden file; AMDGPU_DRA_GOLDEN names a folder to write them to instead."""
    done = helm.render("--values", str(helm.VALUES / f"{name}.yaml"))
    assert done.returncode == 0, done.stderr
    if folder := os.environ.get("AMDGPU_DRA_GOLDEN"):
        (Path(folder) / f"{name}.yaml").write_text(done.stdout)

    assert (helm.VALUES / "golden" / f"{name}.yaml").read_text() == done.stdout, (
        "renew with AMDGPU_DRA_GOLDEN=$PWD/charts/testdata/golden, see charts/README.md"
    )


@pytest.mark.parametrize("name", NAMES)
def test_lint_finds_nothing(name: str) -> None:
    """`helm lint --strict` is content with each value set."""
    done = helm.run(
        "lint", str(helm.CHART), "--strict", "--namespace", "amd-gpu", "--values", str(helm.VALUES / f"{name}.yaml")
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_objects_fit_together(name: str) -> None:
    """Selector, account, mounts and volumes of each value set name things that are there."""
    objects = helm.rendered("--values", str(helm.VALUES / f"{name}.yaml"))
    (daemonset,) = [item for item in objects.values() if item["kind"] == "DaemonSet"]
    bindings = [item for item in objects.values() if item["kind"] == "ClusterRoleBinding"]
    (binding,) = [item for item in bindings if "helm.sh/hook" not in item["metadata"].get("annotations", {})]
    pod, container = _pod(objects), _container(objects)

    template = daemonset["spec"]["template"]["metadata"]["labels"]
    assert daemonset["spec"]["selector"]["matchLabels"].items() <= template.items()
    assert binding["subjects"] == [
        {
            "kind": "ServiceAccount",
            "name": pod["serviceAccountName"],
            "namespace": daemonset["metadata"]["namespace"],
        }
    ]
    assert f"ClusterRole/{binding['roleRef']['name']}" in objects
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    at = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]}
    # The plugin tells the container runtime paths of the node: it must see them where the node does.
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == at


@pytest.mark.parametrize("name", NAMES)
def test_environment_is_what_the_plugin_reads(name: str) -> None:
    """Every variable of each value set is a flag's, and its value is one that the flag takes."""
    flags = {flag.env: flag for flag in FLAGS}
    variables = _container(helm.rendered("--values", str(helm.VALUES / f"{name}.yaml")))["env"]

    assert {item["name"] for item in variables} <= flags.keys()
    for item in variables:
        if "value" in item:
            flags[item["name"]].read(item["value"])


def test_rights_are_the_needed_ones() -> None:
    """The role holds what the plugin uses and nothing else."""
    objects = helm.rendered(*IMAGE)
    role = helm.one(objects, "ClusterRole")
    rights = {
        (group, kind): rule["verbs"]
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
    }

    assert rights == {
        ("resource.k8s.io", "resourceclaims"): ["get", "list"],
        ("resource.k8s.io", "resourceslices"): ["get", "list", "watch", "create", "update", "patch", "delete"],
        ("", "nodes"): ["get"],
        ("events.k8s.io", "events"): ["create"],
    }


@pytest.mark.parametrize("name", ["webhook", "webhook-self-managed"])
def test_the_webhook_fits_together(name: str) -> None:
    """Service, pods, Secret, arguments and configurations name what is there; none of it has a privilege."""
    objects = helm.rendered("--values", str(helm.VALUES / f"{name}.yaml"))
    deployment, service = (helm.one(objects, kind) for kind in ("Deployment", "Service"))
    configuration = helm.one(objects, "ValidatingWebhookConfiguration")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["ports"][0]["targetPort"] in ports
    options = parse_flags(container["args"], {}, "1")
    assert isinstance(options, ServeOptions)
    assert options.port == ports["https"]
    for hook in configuration["webhooks"]:
        found = hook["clientConfig"]["service"]
        assert (found["name"], found["namespace"]) == (service["metadata"]["name"], service["metadata"]["namespace"])
        assert found["path"] == PATH
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_job_makes_what_the_webhook_mounts() -> None:
    """The same Secret, for the name that the API server calls; its rights are on that Secret and that configuration."""
    objects = helm.rendered("--values", str(helm.VALUES / "webhook-self-managed.yaml"))
    job, service = helm.one(objects, "Job"), helm.one(objects, "Service")
    container = job["spec"]["template"]["spec"]["containers"][0]
    (volume,) = helm.one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    options = parse_flags([*container["command"][1:], *container["args"]], {}, "1")

    assert isinstance(options, CertificateOptions)
    assert options.secret == volume["secret"]["secretName"]
    assert (options.service, options.namespace) == (service["metadata"]["name"], service["metadata"]["namespace"])
    assert options.configuration == helm.one(objects, "ValidatingWebhookConfiguration")["metadata"]["name"]
    named = [
        name
        for item in objects.values()
        if item["kind"] in {"Role", "ClusterRole"} and "certificate" in item["metadata"]["name"]
        for rule in item["rules"]
        for name in rule.get("resourceNames", ())
    ]
    assert sorted(named) == sorted([options.secret, options.configuration])


def test_fake_tree_needs_no_privilege() -> None:
    """On a fake tree the plugin has no capability and cannot gain one; its sysfs and device folders are read-only."""
    container = _container(helm.rendered("--values", str(helm.VALUES / "fake-tree.yaml")))

    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert {mount["name"] for mount in container["volumeMounts"] if mount.get("readOnly")} == {"sysfs", "dev"}


@pytest.mark.parametrize(
    ("values", "read_only"),
    [
        ((), True),
        (("featureGates.DynamicPartitioning=true",), False),
        (("featureGates.AutoPartition=true",), False),
        (("featureGates.DynamicPartitioning=false",), True),
        (("featureGates.DynamicPartitioning=true", "kubeletPlugin.repartition=off"), True),
    ],
    ids=["no-gate", "gate", "amds-gate", "gate-off", "repartition-off"],
)
def test_sysfs_is_written_only_to_switch_modes(values: tuple[str, ...], *, read_only: bool) -> None:
    """The node's sysfs is writable exactly if the plugin may switch compute modes."""
    container = _container(helm.rendered(*IMAGE, *(part for value in values for part in ("--set", value))))
    (mount,) = [item for item in container["volumeMounts"] if item["name"] == "sysfs"]

    assert mount["readOnly"] is read_only


def test_real_gpus_need_privilege() -> None:
    """With the node's own sysfs the plugin is privileged, for KFD; its own files stay read-only."""
    container = _container(helm.rendered(*IMAGE))

    assert container["securityContext"] == {"privileged": True, "readOnlyRootFilesystem": True}


def test_probes_ask_the_plugin() -> None:
    """Startup and liveness ask whether the sockets are served; readiness whether the slice was accepted."""
    container = _container(helm.rendered(*IMAGE))

    asked = {name: container[f"{name}Probe"]["grpc"] for name in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"port": 51515, "service": "liveness"},
        "liveness": {"port": 51515, "service": "liveness"},
        "readiness": {"port": 51515, "service": "readiness"},
    }


def test_a_busy_node_kills_no_plugin() -> None:
    """Each probe waits for two answers of a plugin that is late, and not for the kubelet's one second."""
    container = _container(helm.rendered(*IMAGE))

    assert {container[f"{name}Probe"]["timeoutSeconds"] for name in ("startup", "liveness", "readiness")} == {10}


@pytest.mark.parametrize("name", NAMES)
def test_two_pods_fit_on_a_node(name: str) -> None:
    """Nothing of the node's network is taken, which a second pod would want too."""
    pod = _pod(helm.rendered("--values", str(helm.VALUES / f"{name}.yaml")))

    assert "hostNetwork" not in pod
    assert not [port for container in pod["containers"] for port in container.get("ports", []) if "hostPort" in port]


SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


@pytest.mark.parametrize(
    ("values", "version", "strategy", "named"),
    [
        ({}, "1.33.0", SURGE, True),
        ({}, "1.34.2-eks-1", SURGE, True),
        ({}, "1.32.9", {"type": "RollingUpdate"}, False),
        ({"type": "OnDelete"}, "1.34.0", {"type": "OnDelete"}, False),
        ({"rollingUpdate.maxSurge": "0"}, "1.34.0", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}}, False),
        (
            {"rollingUpdate.maxUnavailable": "10%"},
            "1.34.0",
            {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            False,
        ),
        (
            {"rollingUpdate.maxSurge": "10%"},
            "1.34.0",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "10%"}},
            True,
        ),
    ],
    ids=["oldest-kubelet", "suffix", "too-old", "on-delete", "no-surge", "own-way", "own-surge"],
)
def test_a_new_pod_serves_before_the_old_one_goes(
    values: dict[str, str], version: str, strategy: dict[str, Any], *, named: bool, tmp_path: Path
) -> None:
    """Where kubelets can have two, and where nothing else is set; the pod names sockets exactly if two may run."""
    given = [
        part for name, value in values.items() for part in ("--set", f"kubeletPlugin.updateStrategy.{name}={value}")
    ]
    objects = helm.objects(helm.render_unbarred(tmp_path, version, *IMAGE, *given))
    (daemonset,) = [item for item in objects.values() if item["kind"] == "DaemonSet"]

    assert strategy == daemonset["spec"]["updateStrategy"]
    assert named is ("POD_UID" in {item["name"] for item in _container(objects)["env"]})


@pytest.mark.parametrize("version", ["1.32.0", "1.33.4", "1.34.0"])
def test_clusters_without_v1_are_served(version: str) -> None:
    """Kubernetes 1.32 and 1.33, whose API is beta, can have the driver."""
    assert helm.rendered(*IMAGE, "--kube-version", version)


@pytest.mark.parametrize(("names", "told"), [("pci", []), ("amd", ["amd"])])
def test_names_of_devices_are_the_plugins(names: str, told: list[str]) -> None:
    """The plugin is told of names that are not its own choice."""
    container = _container(helm.rendered(*IMAGE, "--set", f"kubeletPlugin.deviceNames={names}"))

    assert [item["value"] for item in container["env"] if item["name"] == "DEVICE_NAMES"] == told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), "set image.repository", id="no-repository"),
        pytest.param((*IMAGE, "--namespace", "default"), "allowDefaultNamespace=true", id="default-namespace"),
        pytest.param(
            (*IMAGE, "--set", "kubeletPlugin.containers.plugin.healthcheckPort=0"), "found 0", id="no-fixed-port"
        ),
        pytest.param(
            (*IMAGE, "--set", "kubeletPlugin.containers.plugin.metricsPort=0"),
            "-1 for no metrics",
            id="no-metrics-port",
        ),
        pytest.param((*IMAGE, "--set", "kubeletPlugin.allowFakeDeviceNodes=true"), "set devPath", id="fake-in-dev"),
        pytest.param(
            (*IMAGE, "--set", "kubeletPlugin.idleMode=SPX"), "DynamicPartitioning=true", id="idle-without-gate"
        ),
        pytest.param((*IMAGE, "--kube-version", "1.31.9"), f">={helm.OLDEST}-0", id="old-cluster"),
        pytest.param((*IMAGE, "--set", "kubeletPlugin.deviceNames=card"), "'pci', 'amd'", id="no-such-names"),
        pytest.param(
            (*IMAGE, "--set", "kubeletPlugin.deviceNames=amd", "--set", "featureGates.AutoPartition=true"),
            "leave one of the two out",
            id="amd-names-of-partitions",
        ),
        pytest.param(
            (*HOOK, "--set", "webhook.tls.mode=magic"), "'self-managed', 'cert-manager', 'secret'", id="webhook-mode"
        ),
        pytest.param((*HOOK, "--set", "webhook.tls.mode=secret"), "webhook.tls.secretName", id="webhook-no-secret"),
        pytest.param(
            (*HOOK, "--set", "webhook.tls.mode=secret", "--set", "webhook.tls.secretName=s"),
            "webhook.tls.caBundle",
            id="webhook-no-authority",
        ),
    ],
)
def test_wrong_values_are_refused(arguments: tuple[str, ...], message: str) -> None:
    """What cannot work is refused before anything is installed, with the value to set."""
    done = helm.render(*arguments)

    assert done.returncode != 0
    assert message in done.stderr
