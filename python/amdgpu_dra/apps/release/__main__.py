"""Runs it."""

import sys

from amdgpu_dra.apps.release import main

if __name__ == "__main__":
    sys.exit(main())
