"""Entry: `python -m amdgpu_dra.apps.kubelet_plugin`, and `gpu-kubeletplugin` in the image."""

import sys

from amdgpu_dra.apps.kubelet_plugin.main import main

if __name__ == "__main__":
    sys.exit(main())
