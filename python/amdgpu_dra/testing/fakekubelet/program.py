"""The plugin as it runs in the image: all packages in one folder, modules compiled."""

import os
import subprocess
import sys
from pathlib import Path

_STANDARD = ("lib/python3", "lib/python313.zip")


def assemble(work: Path) -> tuple[list[str], dict[str, str]]:
    """A command that runs the plugin, and its environment.

    Under Bazel each package lies in a folder of its own, and every import would search dozens of them; links bring them
    together as in the image. Compiled modules are kept below `work`, and made by a first run.
    """
    site = work / "site"
    site.mkdir(parents=True)
    for folder in (Path(entry) for entry in sys.path if entry and not any(part in entry for part in _STANDARD)):
        for item in folder.iterdir() if folder.is_dir() else ():
            link = site / item.name
            if not link.exists() and not item.name.endswith((".dist-info", ".pth", "__pycache__")):
                link.symlink_to(item.resolve())
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "KUBERNETES_", "KUBECONFIG"))
    }
    environment |= {"PYTHONPATH": str(site), "PYTHONPYCACHEPREFIX": str(work / "pyc"), "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-m", "amdgpu_dra.apps.kubelet_plugin"]
    imports = "import amdgpu_dra.apps.kubelet_plugin.run, aiohttp, yaml"
    subprocess.run([sys.executable, "-W", "ignore", "-c", imports], env=environment, check=True)
    return command, environment
