"""Runs pip-compile on the files of the workspace; pip's own settings (index, certificates) come from the machine."""

import os
import subprocess
import sys


def main() -> int:
    """The exit status of pip-compile."""
    source, lock, *extra = sys.argv[1:]
    command = [
        sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras",
        "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-header", "--no-annotate",
        "--resolver=backtracking", f"--output-file={lock}", *extra, source,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=os.environ["BUILD_WORKSPACE_DIRECTORY"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
