"""Entry: `python -m amdgpu_dra.apps.webhook`, and `webhook` in the image."""

import sys

from amdgpu_dra.apps.webhook.main import main

if __name__ == "__main__":
    sys.exit(main())
