"""The flags of the plugin, as one table; the reference in the docs is generated from it.

Go style, as AMD's GPU Operator passes them: `-key=value`, `--key=value`, `--key value`; a switch alone means true.
Every flag is read from the environment too; the command line wins.
"""

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Never

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.core.partition import AUTO, OFF, PER_GPU

DYNAMIC_PARTITIONING = "DynamicPartitioning"
# Gate -> the name that it goes by here; AutoPartition is that of AMD's own driver.
_GATES = {
    "AutoPartition": DYNAMIC_PARTITIONING,
    "ContextualLogging": "ContextualLogging",
    DYNAMIC_PARTITIONING: DYNAMIC_PARTITIONING,
}
_MODES = ("SPX", "DPX", "TPX", "QPX", "CPX")
_TRUE, _FALSE = {"true", "1", "t"}, {"false", "0", "f"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A row: name, environment variable, type, default and help. `inert` ones are taken and change nothing."""

    name: str
    env: str
    read: Callable[[str], Any]
    default: Any
    help: str
    inert: bool = False


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

    @property
    def dynamic_partitioning(self) -> bool:
        """Whether the scheduler may choose partitions; the later of two mentions of the gate counts."""
        named = [item.partition("=") for item in filter(None, self.feature_gates.split(","))]
        return {_GATES[name]: _bool(value) for name, _, value in named}.get(DYNAMIC_PARTITIONING, False)


def _bool(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("true or false")


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number") from None


def _seconds(text: str) -> float:
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        raise ValueError("a number of seconds") from None
    if not 0 < value < 86400:  # noqa: PLR2004 - a day
        raise ValueError("a number of seconds above 0")
    return value


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("an absolute path")
    return text.rstrip("/") or "/"


def _pod_uid(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{0,63}", text):
        raise ValueError("the UID of a pod")
    return text


def _format(text: str) -> str:
    if text not in {"text", "json"}:
        raise ValueError("text or json")
    return text


def _gates(text: str) -> str:
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if name not in _GATES:
            raise ValueError(f"only gates that this version has ({', '.join(sorted(_GATES))})")
        _bool(value)
    return text


def _repartition(text: str) -> str:
    if text not in {AUTO, PER_GPU, OFF}:
        raise ValueError(f"{AUTO}, {PER_GPU} or {OFF}")
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
        read=_absolute,
        default="/var/run/cdi",
        help="folder for CDI documents, one that the container runtime reads",
    ),
    Flag(
        name="kubelet-registrar-directory-path",
        env="KUBELET_REGISTRAR_DIRECTORY_PATH",
        read=_absolute,
        default="/var/lib/kubelet/plugins_registry",
        help="the kubelet's folder of registration sockets",
    ),
    Flag(
        name="kubelet-plugins-directory-path",
        env="KUBELET_PLUGINS_DIRECTORY_PATH",
        read=_absolute,
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
    Flag(
        name="kubeconfig",
        env="KUBECONFIG",
        read=str,
        default="",
        help="credentials for the API server; empty: those of the pod",
    ),
    Flag(
        name="sysfs-root",
        env="SYSFS_ROOT",
        read=_absolute,
        default="/sys",
        help="where sysfs, or a fake tree, is",
    ),
    Flag(name="dev-root", env="DEV_ROOT", read=_absolute, default="/dev", help="where the device nodes are"),
    Flag(
        name="allow-fake-device-nodes",
        env="ALLOW_FAKE_DEVICE_NODES",
        read=_bool,
        default=False,
        help="take ordinary files for device nodes, in a fake tree that was rendered without root; never below /dev",
    ),
    Flag(
        name="healthcheck-port",
        env="HEALTHCHECK_PORT",
        read=_int,
        default=-1,
        help="TCP port for gRPC health checks (services liveness and readiness); 0: any, below 0: none",
    ),
    Flag(
        name="metrics-port",
        env="METRICS_PORT",
        read=_int,
        default=-1,
        help="TCP port for /metrics over HTTP; 0: any, below 0: none",
    ),
    Flag(
        name="rescan-interval",
        env="RESCAN_INTERVAL",
        read=_seconds,
        default=5.0,
        help="seconds between looks whether GPUs or their modes have changed",
    ),
    Flag(name="v", env="V", read=_int, default=0, help="verbosity; from 4 up with debugging"),
    Flag(name="logging-format", env="LOGGING_FORMAT", read=_format, default="text", help="text or json"),
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise UsageError("command line", expected="flags as --help lists them", found=message, action="see --help")


def _wrap(flag: Flag) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return flag.read(text)
        except ValueError as error:
            raise UsageError(
                f"flag --{flag.name}", expected=str(error), found=repr(text), action=f"correct it ({flag.help})"
            ) from error

    return read


def parse_flags(arguments: Sequence[str], environment: Mapping[str, str], version: str) -> Options:
    """The options, from the command line, then the environment, then the defaults.

    Raises:
        UsageError: an unknown flag (with the nearest known one), a value that is none, or no node name.
    """
    parser = _Parser(
        prog="gpu-kubeletplugin",
        description="AMD GPU driver for Kubernetes DRA: the kubelet plugin.",
        allow_abbrev=False,
    )
    parser.add_argument("-version", "--version", action="version", version=version)
    for flag in FLAGS:
        names = [f"-{flag.name}", f"--{flag.name}"]
        switch: dict[str, Any] = {"nargs": "?", "const": True} if flag.read is _bool else {}
        note = f"{flag.help} [{flag.env}] (default {flag.default!r})".replace("%", "%%")
        parser.add_argument(*names, dest=flag.name, type=_wrap(flag), help=note, **switch)
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0])
    values = {flag.name.replace("-", "_"): _value(flag, vars(known), environment) for flag in FLAGS if not flag.inert}
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
    for name, value in given.items():
        if value and not (options.dynamic_partitioning and options.repartition != OFF):
            raise UsageError(
                f"flag --{name}",
                expected=f"--feature-gates={DYNAMIC_PARTITIONING}=true and not --repartition={OFF} beside it",
                found=f"--{name}={value} alone",
                action="set the gate, or leave the flag out",
            )


def _value(flag: Flag, given: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    if given[flag.name] is not None:
        return given[flag.name]
    text = environment.get(flag.env, "")
    return _wrap(flag)(text) if text else flag.default


def _unknown(argument: str) -> UsageError:
    name = argument.lstrip("-").partition("=")[0]
    near = difflib.get_close_matches(name, [flag.name for flag in FLAGS], n=1)
    return UsageError(
        "command line",
        expected="flags as --help lists them",
        found=argument,
        action=f"did you mean --{near[0]}?" if near else "see --help",
    )


def inert_flags(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Flags that were given and change nothing, so that a log line can say so."""
    given = {argument.lstrip("-").partition("=")[0] for argument in arguments}
    return [flag.name for flag in FLAGS if flag.inert and (flag.name in given or environment.get(flag.env))]
