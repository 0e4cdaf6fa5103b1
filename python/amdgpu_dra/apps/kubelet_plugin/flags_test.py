"""Flags: Go style, environment, and errors that a person can act on."""

from pathlib import Path

import pytest

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.apps.flags import render_reference
from amdgpu_dra.apps.kubelet_plugin.flags import FLAGS, inert_flags, parse_flags

REFERENCE = Path("docs/reference/flags.md")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-node-name=n", "-v=4"],
        ["--node-name=n", "--v=4"],
        ["--node-name", "n", "-v", "4"],
        ["-node-name", "n", "-v=4"],
    ],
)
def test_every_spelling_of_go_is_taken(arguments: list[str]) -> None:
    """One dash or two, an equals sign or a space."""
    options = parse_flags(arguments, {}, "1")

    assert (options.node_name, options.v) == ("n", 4)


@pytest.mark.parametrize(
    ("text", "value"), [("-allow-fake-device-nodes", True), ("-allow-fake-device-nodes=false", False)]
)
def test_a_switch_alone_means_true(text: str, *, value: bool) -> None:
    """As in Go."""
    assert parse_flags(["-node-name=n", text], {}, "1").allow_fake_device_nodes is value


def test_the_command_line_wins_over_the_environment() -> None:
    """And the environment over the default; an empty variable is none."""
    environment = {"NODE_NAME": "env", "CDI_ROOT": "/env", "KUBELET_PLUGINS_DIRECTORY_PATH": ""}
    options = parse_flags(["--cdi-root=/line/"], environment, "1")

    assert (options.node_name, options.cdi_root) == ("env", "/line")
    assert options.kubelet_plugins_directory_path == "/var/lib/kubelet/plugins"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "flag --node-name: expected the name of this node"),
        (["--nod-name=n"], "found --nod-name=n; did you mean --node-name?"),
        (["--node-name=n", "--cdi-root=cdi"], "flag --cdi-root: expected an absolute path, found 'cdi'"),
        (["--node-name=n", "-v=much"], "flag --v: expected a whole number, found 'much'"),
        (["--node-name=n", "--logging-format=xml"], "expected text or json, found 'xml'"),
        (["--node-name=n", "--feature-gates=Magic=true"], "expected only gates that this version has"),
        (["--node-name=n", "stray"], "found stray; see --help"),
        (["--node-name=n", "--allow-fake-device-nodes=perhaps"], "expected true or false, found 'perhaps'"),
        (["--node-name=n", "--rescan-interval=0"], "expected a number of seconds above 0"),
        (["--node-name=n", "--repartition=node"], "expected auto, per-gpu or off, found 'node'"),
        (["--node-name=n", "--idle-mode=NPS1"], "expected a compute mode (SPX, DPX, TPX, QPX, CPX), or nothing"),
        (["--node-name=n", "--idle-mode=spx"], "expected --feature-gates=DynamicPartitioning=true"),
        (["--node-name=n", "--repartition=per-gpu"], "found --repartition=per-gpu alone; set the gate"),
        (
            ["--node-name=n", "--feature-gates=AutoPartition=true", "--repartition=off", "--idle-mode=spx"],
            "not --repartition=off beside it",
        ),
    ],
)
def test_wrong_flags_say_what_is_right(arguments: list[str], text: str) -> None:
    """One line that names the flag, what was expected, what was found and what to do."""
    with pytest.raises(UsageError) as caught:
        parse_flags(arguments, {}, "1")

    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gates", "on"),
    [
        ("", False),
        ("DynamicPartitioning=true", True),
        ("AutoPartition=true,ContextualLogging=true", True),
        ("DynamicPartitioning=true,AutoPartition=false", False),
    ],
)
def test_the_gate_has_amds_name_too(gates: str, *, on: bool) -> None:
    """AutoPartition is DynamicPartitioning; of two mentions the later counts."""
    options = parse_flags(["--node-name=n", f"--feature-gates={gates}"], {"REPARTITION": "auto", "IDLE_MODE": ""}, "1")

    assert options.dynamic_partitioning is on
    assert (options.repartition, options.idle_mode) == ("auto", "")


def test_the_idle_mode_is_upper_case() -> None:
    """As the kernel writes modes."""
    options = parse_flags(["--node-name=n", "--feature-gates=AutoPartition=true", "--idle-mode=spx"], {}, "1")

    assert options.idle_mode == "SPX"


def test_amd_names_are_for_the_static_layout_alone() -> None:
    """Beside dynamic partitions they are refused at the start, by whichever name the gate goes; pci never is."""
    for gate in ("DynamicPartitioning", "AutoPartition"):
        with pytest.raises(UsageError, match=r"flag --device-names: expected pci beside .*, found amd"):
            parse_flags(["--node-name=n", "-device-names=amd", f"--feature-gates={gate}=true"], {}, "1")
    gates = "--feature-gates=DynamicPartitioning=true"
    assert parse_flags(["--node-name=n", gates, "--device-names=pci"], {}, "1").device_names == "pci"
    assert parse_flags(["--node-name=n"], {"DEVICE_NAMES": "amd"}, "1").device_names == "amd"
    with pytest.raises(UsageError, match="expected pci or amd, found 'card'"):
        parse_flags(["--node-name=n", "--device-names=card"], {}, "1")


def test_flags_that_change_nothing_are_told() -> None:
    """AMD's throttle flags are taken, and a log line can say that they are not used."""
    assert inert_flags(["-kube-api-qps=5"], {"KUBE_API_BURST": "10"}) == ["kube-api-qps", "kube-api-burst"]


def test_the_operators_arguments_are_taken() -> None:
    """What AMD's GPU Operator sets for its own driver is taken as it is."""
    environment = {
        "CDI_ROOT": "/var/run/cdi",
        "KUBELET_REGISTRAR_DIRECTORY_PATH": "/var/lib/kubelet/plugins_registry",
        "KUBELET_PLUGINS_DIRECTORY_PATH": "/var/lib/kubelet/plugins",
        "NODE_NAME": "n",
        "NAMESPACE": "kube-amd-gpu",
    }
    options = parse_flags(["-logging-format=json", "-v=6"], environment, "1")

    assert (options.node_name, options.logging_format, options.healthcheck_port) == ("n", "json", -1)


def test_the_reference_is_current() -> None:
    """docs/reference/flags.md is what the table says; the message holds the new text."""
    styles = "Go style: `-key=value`, `--key=value`, `--key value`. The command line wins over the environment."

    assert REFERENCE.read_text() == f"# Flags of the kubelet plugin\n\n{styles}\n\n{render_reference(FLAGS)}"
