"""A command on a cluster to try the driver on: ./bazelw run //e2e/kind:create, and what it says next."""

import sys

from harness.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
