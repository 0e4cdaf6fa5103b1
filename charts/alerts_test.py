"""The alerts, by Prometheus' own promtool: each is raised when it should be, with these words, and not otherwise."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

CASES = Path("charts/testdata/alerts/alerts_test.yaml")
PAGE = Path("docs/howto/alerts.md")
RULES = Path("charts/k8s-gpu-dra-driver/files/alerts.yaml")


def _promtool() -> Path:
    """The program, as e2e/setup made it; skips where this machine cannot have it."""
    folder = Path(os.environ["AMDGPU_DRA_CACHE"]) / "e2e"
    if (folder / "unavailable").is_file():
        pytest.skip(f"there is no promtool: {(folder / 'unavailable').read_text().strip()}")
    return folder / "promtool"


@pytest.mark.parametrize(
    "command", [("check", "rules", str(RULES)), ("test", "rules", str(CASES))], ids=["check", "test"]
)
def test_promtool_is_content(command: tuple[str, ...]) -> None:
    """The rules are well-formed, and every case comes out as it says."""
    done = subprocess.run([_promtool(), *command], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_both_cases() -> None:
    """One in which it is raised, with labels and words, and one in which it is not."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]

    assert sorted((case["alertname"], bool(case["exp_alerts"])) for case in cases) == sorted(
        (rule["alert"], raised) for rule in group["rules"] for raised in (False, True)
    )


def test_the_page_has_every_alert() -> None:
    """docs/howto/alerts.md has a row for each, with its severity and the time after which it is raised."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    rows = [line.strip("| ").split(" | ")[:3] for line in PAGE.read_text().splitlines() if line.startswith("| `Amd")]

    assert rows == [
        [f"`{rule['alert']}`", rule["labels"]["severity"], rule.get("for", "at once")] for rule in group["rules"]
    ]
