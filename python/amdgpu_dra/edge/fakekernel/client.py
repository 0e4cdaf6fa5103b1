"""The other side of the control socket."""

import json
import os
import socket


class RefusedError(Exception):
    """The fake kernel answered with an error; `errno` is its name."""

    def __init__(self, line: str, answer: str) -> None:
        super().__init__(f"{line}: {answer}")
        self.errno = answer.removeprefix("error ").partition(":")[0]


class Control:
    """Sends control lines to the fake kernel behind a socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def send(self, line: str) -> str:
        """The answer to one line.

        Raises:
            RefusedError: it was an error.
            OSError: nobody listens.
        """
        folder = os.open(os.path.dirname(self.path), os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(self.path)}")
                connection.sendall(f"{line}\n".encode())
                with connection.makefile() as lines:
                    answer = lines.readline().rstrip("\n")
        finally:
            os.close(folder)
        if answer.startswith("error "):
            raise RefusedError(line, answer)
        return answer

    def state(self) -> dict[str, object]:
        """The state of the kernel: `describe` of `core/fakekernel`."""
        found = json.loads(self.send("state"))
        if not isinstance(found, dict):
            raise TypeError(f"{self.path}: expected a JSON object, found {found!r}")
        return found
