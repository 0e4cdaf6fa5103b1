"""What can be switched: monitoring, classes, constraints, the test. Each by what it renders."""

from pathlib import Path

import helm
import pytest

from amdgpu_dra.api.metrics import METRICS

IMAGE = ("--set", "image.repository=registry.example/plugin")
MONITORING = ("--api-versions", "monitoring.coreos.com/v1")
METRICS_ON = ("--set", "kubeletPlugin.containers.plugin.metricsPort=9400")
HOOK = ("--set", "webhook.enabled=true")
OPENSHIFT = ("--api-versions", "security.openshift.io/v1")


def _kinds(*arguments: str) -> set[str]:
    return {item["kind"] for item in helm.rendered(*IMAGE, *arguments).values()}


MONITOR = helm.given("monitoring.podMonitor.enabled=true")
NO_MONITOR = helm.given("monitoring.podMonitor.enabled=false")
RULE = helm.given("monitoring.prometheusRule.enabled=true")
NO_RULE = helm.given("monitoring.prometheusRule.enabled=false")


NO_SCC = helm.given("openshift.enabled=false")


@pytest.mark.parametrize(
    ("kind", "shown", "hidden"),
    [
        ("NetworkPolicy", (), helm.given("networkPolicy.enabled=false")),
        ("PodDisruptionBudget", HOOK, (*HOOK, *helm.given("webhook.podDisruptionBudget=false"))),
        ("PodDisruptionBudget", HOOK, ()),
        ("PodMonitor", (*METRICS_ON, *MONITORING), METRICS_ON),
        ("PodMonitor", (*METRICS_ON, *MONITORING), MONITORING),
        ("PodMonitor", (*METRICS_ON, *MONITOR), (*METRICS_ON, *MONITORING, *NO_MONITOR)),
        ("PrometheusRule", (*METRICS_ON, *MONITORING), METRICS_ON),
        ("PrometheusRule", (*METRICS_ON, *RULE), (*METRICS_ON, *MONITORING, *NO_RULE)),
        ("ValidatingAdmissionPolicy", (), helm.given("admissionPolicy.enabled=false")),
        ("ValidatingAdmissionPolicyBinding", (), helm.given("admissionPolicy.enabled=false")),
        ("SecurityContextConstraints", OPENSHIFT, ()),
        ("SecurityContextConstraints", helm.given("openshift.enabled=true"), (*OPENSHIFT, *NO_SCC)),
        ("DeviceClass", (), helm.given("deviceClass.create=false", "deviceClass.modes.cpx.create=true")),
    ],
)  # fmt: skip
def test_kinds_are_switched(kind: str, shown: tuple[str, ...], hidden: tuple[str, ...]) -> None:
    """A kind is rendered exactly where it is switched on, or where the cluster serves its API."""
    assert kind in _kinds(*shown)
    assert kind not in _kinds(*hidden)


@pytest.mark.parametrize("name", ["podMonitor", "prometheusRule"])
def test_monitoring_needs_metrics(name: str) -> None:
    """Monitoring that is forced without metrics is refused, with the value to set."""
    done = helm.render(*IMAGE, *helm.given(f"monitoring.{name}.enabled=true"))

    assert done.returncode != 0
    assert f"monitoring.{name}.enabled: expected metrics to be on" in done.stderr
    assert "kubeletPlugin.containers.plugin.metricsPort" in done.stderr


def test_alerts_ask_for_metrics_that_there_are() -> None:
    """Every name in an alert's expression is one of the plugin's metrics, and every alert has summary and severity."""
    rule = helm.one(helm.rendered(*IMAGE, *METRICS_ON, *MONITORING), "PrometheusRule")
    known = {metric.name for metric in METRICS}
    for alert in rule["spec"]["groups"][0]["rules"]:
        words = alert["expr"].replace("{", " ").replace("(", " ").replace("[", " ").split()
        names = {word.removesuffix("_count").rstrip(")") for word in words if word.startswith("amdgpu_dra_")}
        assert names
        assert names <= known, alert["alert"]
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"].keys() == {"summary", "description"}


GUARDED = "'computePartition' in device.attributes['gpu.amd.com'] && device.attributes['gpu.amd.com'].computePartition"
MODES = ("spx", "dpx", "tpx", "qpx", "cpx")


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_a_class(mode: str) -> None:
    """It is off by default; it asks whether a device has the attribute before it reads it."""
    name = f"DeviceClass/{mode}.gpu.amd.com"
    path = f"deviceClass.modes.{mode}"
    objects = helm.rendered(*IMAGE, *helm.given(f"{path}.create=true", f"{path}.extendedResourceName=amd.com/{mode}"))

    assert name not in helm.rendered(*IMAGE)
    assert {other for other in objects if other.startswith("DeviceClass/")} == {
        name, "DeviceClass/gpu.amd.com", "DeviceClass/whole.gpu.amd.com",
    }  # fmt: skip
    spec = objects[name]["spec"]
    assert spec["extendedResourceName"] == f"amd.com/{mode}"
    (selector,) = spec["selectors"]
    assert selector["cel"]["expression"].endswith(f"{GUARDED} == '{mode}'")


def test_one_class_has_amd_com_gpu() -> None:
    """With every class on, `amd.com/gpu` is the whole GPUs' alone; a mode that shall have it too is refused."""
    modes = [f"deviceClass.modes.{mode}.create=true" for mode in MODES]
    objects = helm.rendered(*IMAGE, *helm.given(*modes))
    having = [name for name, item in objects.items() if item.get("spec", {}).get("extendedResourceName")]
    assert having == ["DeviceClass/whole.gpu.amd.com"]
    assert objects[having[0]]["spec"]["extendedResourceName"] == "amd.com/gpu"

    path = "deviceClass.modes.cpx.extendedResourceName"
    done = helm.render(*IMAGE, *helm.given(*modes, f"{path}=amd.com/gpu"))
    assert done.returncode != 0
    assert f"{path}: expected a name that no other class has, found amd.com/gpu, which deviceClass." in done.stderr


@pytest.mark.parametrize(
    ("kubernetes", "version", "extended"),
    [("1.36.0", "v1", True), ("1.33.2", "v1beta2", False), ("1.32.9", "v1beta1", False)],
)
def test_classes_have_the_version_of_the_cluster(
    kubernetes: str, version: str, *, extended: bool, tmp_path: Path
) -> None:
    """The newest that is served, and extended resources where the cluster knows the field; the test's claim as well."""
    objects = helm.objects(helm.render_unbarred(tmp_path, kubernetes, *IMAGE))
    claim = helm.one(objects, "ResourceClaimTemplate")
    (request,) = claim["spec"]["spec"]["devices"]["requests"]

    assert {item["apiVersion"] for name, item in objects.items() if name.startswith("DeviceClass/")} == {
        f"resource.k8s.io/{version}"
    }
    assert ("extendedResourceName" in objects["DeviceClass/whole.gpu.amd.com"]["spec"]) is extended
    assert claim["apiVersion"] == f"resource.k8s.io/{version}"
    assert ("deviceClassName" in request) is (version == "v1beta1")


def test_constraints_are_what_the_plugin_has() -> None:
    """OpenShift's constraints allow privilege and capabilities exactly if the plugin's container has them."""
    for tree in ("/sys", "/fake/sys"):
        objects = helm.rendered(
            *IMAGE,
            *helm.given("openshift.enabled=true", f"kubeletPlugin.sysfsPath={tree}", "kubeletPlugin.devPath=/fake/dev"),
        )
        constraints = helm.one(objects, "SecurityContextConstraints")
        pod = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]
        context = pod["containers"][0]["securityContext"]

        assert constraints["allowPrivilegedContainer"] is context.get("privileged", False)
        assert constraints["allowedCapabilities"] == context.get("capabilities", {}).get("add", [])
        assert constraints["readOnlyRootFilesystem"] is context["readOnlyRootFilesystem"]
        # The token of the account is a projected volume.
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds | {"projected"} == set(constraints["volumes"])


def test_the_webhooks_pods_may_run_on_openshift() -> None:
    """Its Deployment and its certificate's job have a user of their own, so their accounts may use nonroot-v2."""
    objects = helm.rendered(*IMAGE, *HOOK, *helm.given("openshift.enabled=true"))
    may = {
        subject["name"]
        for binding in objects.values()
        if binding["kind"] == "RoleBinding"
        for rule in objects[f"Role/{binding['roleRef']['name']}"]["rules"]
        if rule.get("resourceNames") == ["nonroot-v2"] and rule["verbs"] == ["use"]
        for subject in binding["subjects"]
    }

    assert may == {
        helm.one(objects, kind)["spec"]["template"]["spec"]["serviceAccountName"] for kind in ("Deployment", "Job")
    }


def test_the_test_runs_what_is_asked() -> None:
    """`helm test` has a claim; the image is the plugin's, or one's own with its own command."""
    pod = helm.one(helm.rendered(*IMAGE), "Pod")["spec"]
    own = helm.one(
        helm.rendered(*IMAGE, *helm.given("test.image=rocm/rocm-terminal:6", "test.command={rocminfo}")), "Pod"
    )["spec"]
    bare = helm.one(helm.rendered(*IMAGE, *helm.given("test.image=rocm/rocm-terminal:6")), "Pod")["spec"]

    assert pod["containers"][0]["image"].startswith("registry.example/plugin:")
    assert pod["containers"][0]["resources"]["claims"] == [{"name": pod["resourceClaims"][0]["name"]}]
    assert (own["containers"][0]["image"], own["containers"][0]["command"]) == ("rocm/rocm-terminal:6", ["rocminfo"])
    assert "command" not in bare["containers"][0]
