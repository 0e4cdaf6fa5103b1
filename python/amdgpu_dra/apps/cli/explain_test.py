"""The command `explain`, on files as users have them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from amdgpu_dra.apps.cli.__main__ import main
from amdgpu_dra.testing.cluster import SPX, Object, claim, exactly, held, slices

MI355X = exactly("gpus", "gpu.amd.com", "device.attributes['gpu.amd.com'].model == 'MI355X'")


def _json(path: Path, kind: str, items: list[Object]) -> str:
    """A list as `kubectl get -o json` prints it."""
    path.write_text(json.dumps({"apiVersion": "v1", "kind": kind, "items": items}))
    return str(path)


def _yaml(path: Path, *objects: Object) -> str:
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


@pytest.fixture
def published(tmp_path: Path) -> str:
    """The file of two nodes' slices."""
    return _json(tmp_path / "slices.json", "List", slices(SPX, "node-0", "node-1"))


def test_it_fits(tmp_path: Path, published: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, and what it would get; on the node that is asked for."""
    wanted = _yaml(tmp_path / "claim.yaml", claim(exactly()))

    assert main(["explain", "--claim", wanted, "--slices", published, "--node", "node-1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "claim ml/train fits on 1 of 1 node (8 devices); on node-1 it would get"
    assert second == "  gpus: node-1/gpu-0000-05-00-0"


def test_it_does_not_fit(tmp_path: Path, published: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1; claims from a further file hold devices."""
    wanted = _yaml(tmp_path / "claim.yaml", claim(exactly(count=8)))
    holders = [held(f"job-{node}", (f"node-{node}", "gpu-0000-05-00-0")) for node in range(2)]
    objects = _yaml(tmp_path / "claims.yaml", *holders)

    assert main(["explain", "--claim", wanted, "--slices", published]) == 0
    assert main(["explain", "--claim", wanted, "--slices", published, "--objects", objects]) == 1
    assert "held by ml/job-0, ml/job-1 ->" in capsys.readouterr().out


def test_rows_as_data(tmp_path: Path, published: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--json gives the same counts and codes."""
    wanted = _yaml(tmp_path / "claim.yaml", claim(MI355X))

    assert main(["explain", "--claim", wanted, "--slices", published, "--json"]) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    (row,) = found["refusals"]
    assert (found["verdict"], found["nodes"], found["devices"]) == ("refused", 2, 16)
    assert (row["code"], row["count"], row["devices"], row["nodes"]) == ("request-selector", 16, 16, 2)
    assert row["example"] == "node-0/gpu-0000-05-00-0"


def test_features_and_names(tmp_path: Path, published: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A feature that is off is an error of the claim that needs it; one of several claims is asked by name."""
    either = {"name": "a", "firstAvailable": [{"name": "b", "deviceClassName": "gpu.amd.com"}]}
    wanted = _yaml(tmp_path / "claim.yaml", claim(exactly(), name="other"), claim(either))
    arguments = ["explain", "--claim", wanted, "--slices", published, "--name", "train"]

    assert main(arguments) == 0
    assert main([*arguments, "--feature", "PrioritizedList=false"]) == 1
    assert "the DRAPrioritizedList feature is disabled" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--node", "nod-0"], "--node: expected one of 2 nodes, such as node-0, found nod-0"),
        (["--feature", "Nope=true"], "--feature: expected NAME=true"),
        (["--objects", "-", "--objects", "-"], "expected standard input once"),
        (["--objects", "/nonexistent"], "/nonexistent: expected a file in YAML or JSON"),
    ],
)
def test_wrong_input(
    more: list[str], match: str, tmp_path: Path, published: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and one line that says what to do."""
    wanted = _yaml(tmp_path / "claim.yaml", claim(exactly()))

    assert main(["explain", "--claim", wanted, "--slices", published, *more]) == 2
    told = capsys.readouterr()
    assert match in told.err
    assert told.err.count("\n") == 1
    assert not told.out


def test_a_step_limit_that_is_none(tmp_path: Path, published: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused by the argument's name."""
    wanted = _yaml(tmp_path / "claim.yaml", claim(exactly()))

    with pytest.raises(SystemExit, match="2"):
        main(["explain", "--claim", wanted, "--slices", published, "--step-limit", "0"])
    assert "--step-limit" in capsys.readouterr().err


def test_as_a_process(tmp_path: Path, published: str) -> None:
    """The program itself: the claim by standard input, the answer on standard output, and its status."""
    code = "import sys; from amdgpu_dra.apps.cli.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", "--claim", "-", "--slices", published],
        input=yaml.safe_dump(claim(MI355X)),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("claim ml/train fits on none of 2 nodes (16 devices):\n  16 devices on 2 nodes, ")
