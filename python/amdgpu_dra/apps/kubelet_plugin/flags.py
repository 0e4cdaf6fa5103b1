"""The flags of the plugin, as one table; the reference in the docs is generated from it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.apps.flags import (
    KUBECONFIG,
    LOGGING_FORMAT,
    Flag,
    Program,
    given_inert,
    parse,
    read_absolute,
    read_bool,
    read_int,
    read_seconds,
)
from amdgpu_dra.core.devices import AMD_NAMES, PCI_NAMES
from amdgpu_dra.core.partition import AUTO, OFF, PER_GPU

DYNAMIC_PARTITIONING = "DynamicPartitioning"
# Gate -> the name that it goes by here; AutoPartition is that of AMD's own driver.
_GATES = {
    "AutoPartition": DYNAMIC_PARTITIONING,
    "ContextualLogging": "ContextualLogging",
    DYNAMIC_PARTITIONING: DYNAMIC_PARTITIONING,
}
_MODES = ("SPX", "DPX", "TPX", "QPX", "CPX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flags say."""

    node_name: str
    cdi_root: str
    kubelet_registrar_directory_path: str
    kubelet_plugins_directory_path: str
    pod_uid: str
    kubeconfig: str
    sysfs_root: str
    dev_root: str
    allow_fake_device_nodes: bool
    healthcheck_port: int
    metrics_port: int
    rescan_interval: float
    v: int
    logging_format: str
    feature_gates: str
    repartition: str
    idle_mode: str
    device_names: str

    @property
    def dynamic_partitioning(self) -> bool:
        """Whether the scheduler may choose partitions; the later of two mentions of the gate counts."""
        named = [item.partition("=") for item in filter(None, self.feature_gates.split(","))]
        return {_GATES[name]: read_bool(value) for name, _, value in named}.get(DYNAMIC_PARTITIONING, False)


def _pod_uid(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{0,63}", text):
        raise ValueError("the UID of a pod")
    return text


def _gates(text: str) -> str:
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if name not in _GATES:
            raise ValueError(f"only gates that this version has ({', '.join(sorted(_GATES))})")
        read_bool(value)
    return text


def _repartition(text: str) -> str:
    if text not in {AUTO, PER_GPU, OFF}:
        raise ValueError(f"{AUTO}, {PER_GPU} or {OFF}")
    return text


def _device_names(text: str) -> str:
    if text not in {PCI_NAMES, AMD_NAMES}:
        raise ValueError(f"{PCI_NAMES} or {AMD_NAMES}")
    return text


def _idle_mode(text: str) -> str:
    if text and text.upper() not in _MODES:
        raise ValueError(f"a compute mode ({', '.join(_MODES)}), or nothing")
    return text.upper()


FLAGS = (
    Flag(name="node-name", env="NODE_NAME", read=str, default="", help="name of this node; needed"),
    Flag(
        name="cdi-root",
        env="CDI_ROOT",
        read=read_absolute,
        default="/var/run/cdi",
        help="folder for CDI documents, one that the container runtime reads",
    ),
    Flag(
        name="kubelet-registrar-directory-path",
        env="KUBELET_REGISTRAR_DIRECTORY_PATH",
        read=read_absolute,
        default="/var/lib/kubelet/plugins_registry",
        help="the kubelet's folder of registration sockets",
    ),
    Flag(
        name="kubelet-plugins-directory-path",
        env="KUBELET_PLUGINS_DIRECTORY_PATH",
        read=read_absolute,
        default="/var/lib/kubelet/plugins",
        help="the kubelet's folder of plugins; socket and claim records lie in gpu.amd.com below it",
    ),
    Flag(
        name="pod-uid",
        env="POD_UID",
        read=_pod_uid,
        default="",
        help="UID of this pod: the sockets are named by it, so that during a rolling update a new pod serves beside an "
        "old one; for kubelets from 1.33 on. Empty: one name for all, and a new process takes the place of an old one",
    ),
    KUBECONFIG,
    Flag(
        name="sysfs-root",
        env="SYSFS_ROOT",
        read=read_absolute,
        default="/sys",
        help="where sysfs, or a fake tree, is",
    ),
    Flag(name="dev-root", env="DEV_ROOT", read=read_absolute, default="/dev", help="where the device nodes are"),
    Flag(
        name="allow-fake-device-nodes",
        env="ALLOW_FAKE_DEVICE_NODES",
        read=read_bool,
        default=False,
        help="take ordinary files for device nodes, in a fake tree that was rendered without root; never below /dev",
    ),
    Flag(
        name="healthcheck-port",
        env="HEALTHCHECK_PORT",
        read=read_int,
        default=-1,
        help="TCP port for gRPC health checks (services liveness and readiness); 0: any, below 0: none",
    ),
    Flag(
        name="metrics-port",
        env="METRICS_PORT",
        read=read_int,
        default=-1,
        help="TCP port for /metrics over HTTP; 0: any, below 0: none",
    ),
    Flag(
        name="rescan-interval",
        env="RESCAN_INTERVAL",
        read=read_seconds,
        default=5.0,
        help="seconds between looks whether GPUs or their modes have changed",
    ),
    Flag(name="v", env="V", read=read_int, default=0, help="verbosity; from 4 up with debugging"),
    LOGGING_FORMAT,
    Flag(
        name="feature-gates",
        env="FEATURE_GATES",
        read=_gates,
        default="",
        help="NAME=true|false, with commas between; DynamicPartitioning (or AutoPartition, as AMD's driver calls it): "
        "every partition of every compute mode is offered, and GPUs are switched as claims need them",
    ),
    Flag(
        name="repartition",
        env="REPARTITION",
        read=_repartition,
        default=AUTO,
        help="with DynamicPartitioning: per-gpu, off, or auto: per-gpu where the kernel has compute_partition_config, "
        "else off",
    ),
    Flag(
        name="idle-mode",
        env="IDLE_MODE",
        read=_idle_mode,
        default="",
        help="with DynamicPartitioning: compute mode to which a GPU returns after its last claim; empty: none",
    ),
    Flag(
        name="device-names",
        env="DEVICE_NAMES",
        read=_device_names,
        default=PCI_NAMES,
        help="names of devices: pci (gpu-0000-05-00-0, stable), or amd (gpu-CARD-RENDER, as AMD's driver has them, for "
        "tools that match on it; not stable, and not with DynamicPartitioning)",
    ),
    Flag(
        name="kube-api-qps",
        env="KUBE_API_QPS",
        read=str,
        default="",
        help="taken and not used: this driver does not throttle its own requests",
        inert=True,
    ),
    Flag(
        name="kube-api-burst",
        env="KUBE_API_BURST",
        read=str,
        default="",
        help="taken and not used, as kube-api-qps",
        inert=True,
    ),
    Flag(name="vmodule", env="VMODULE", read=str, default="", help="taken and not used", inert=True),
    Flag(
        name="log-flush-frequency",
        env="LOG_FLUSH_FREQUENCY",
        read=str,
        default="",
        help="taken and not used: logs are not held back",
        inert=True,
    ),
)


def parse_flags(arguments: Sequence[str], environment: Mapping[str, str], version: str) -> Options:
    """The options, from the command line, then the environment, then the defaults.

    Raises:
        UsageError: an unknown flag (with the nearest known one), a value that is none, or no node name.
    """
    text = "AMD GPU driver for Kubernetes DRA: the kubelet plugin."
    program = Program(name="gpu-kubeletplugin", description=text, flags=FLAGS, version=version)
    values = parse(program, arguments, environment)
    if not values["node_name"]:
        raise UsageError(
            "flag --node-name",
            expected="the name of this node, here or as NODE_NAME",
            found="nothing",
            action="set it from the downward API (spec.nodeName)",
        )
    options = Options(**values)
    _check_partitioning(options)
    return options


def _check_partitioning(options: Options) -> None:
    """Refuses flags that could not do what they say."""
    given = {"idle-mode": options.idle_mode, "repartition": options.repartition == PER_GPU and PER_GPU}
    if options.device_names == AMD_NAMES and options.dynamic_partitioning:
        raise UsageError(
            "flag --device-names",
            expected=f"{PCI_NAMES} beside --feature-gates={DYNAMIC_PARTITIONING}=true",
            found=AMD_NAMES,
            action="leave one of the two out: a partition that does not exist yet has no card and render node to be "
            "named by",
        )
    for name, value in given.items():
        if value and not (options.dynamic_partitioning and options.repartition != OFF):
            raise UsageError(
                f"flag --{name}",
                expected=f"--feature-gates={DYNAMIC_PARTITIONING}=true and not --repartition={OFF} beside it",
                found=f"--{name}={value} alone",
                action="set the gate, or leave the flag out",
            )


def inert_flags(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Flags that were given and change nothing, so that a log line can say so."""
    return given_inert(FLAGS, arguments, environment)
