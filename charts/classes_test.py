"""The DeviceClasses that `explain` takes for granted are those that the chart installs."""

import helm
import yaml

from amdgpu_dra.core.explain import CLASSES


def test_explain_knows_the_charts_classes() -> None:
    """The same names with the same selectors, whatever else the chart sets in them."""
    done = helm.render("--set", "image.repository=registry.example/plugin")
    assert done.returncode == 0, done.stderr
    classes = [item for item in yaml.safe_load_all(done.stdout) if item and item["kind"] == "DeviceClass"]

    assert {item["metadata"]["name"]: item["spec"]["selectors"] for item in classes} == {
        item["metadata"]["name"]: item["spec"]["selectors"] for item in map(dict, CLASSES)
    }
