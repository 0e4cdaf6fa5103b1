"""Entry: `python -m amdgpu_dra.testing.systrace FOLDER ROOT SPARED COMMAND…` ends as the command does."""

import os
import resource
import signal
import sys
from pathlib import Path

from amdgpu_dra.testing.systrace.control import Control
from amdgpu_dra.testing.systrace.effects import Effects
from amdgpu_dra.testing.systrace.tracer import Tracer, start


def main() -> int:
    """The command's status; of one that a signal has ended, the same signal ends this."""
    folder, root, spared, *command = sys.argv[1:]
    control = Control(Path(folder))
    status = Tracer(start(command), control, Effects(root, (spared,))).run()
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    number = os.WTERMSIG(status)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 1


if __name__ == "__main__":
    sys.exit(main())
