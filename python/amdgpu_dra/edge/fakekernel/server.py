"""The control socket: lines in, one line out for each."""

import json
import os
import socketserver
import threading
from typing import Self

from amdgpu_dra.core.fakekernel import COMMANDS, ControlError
from amdgpu_dra.edge.fakekernel.node import Node

_PATIENCE = 60.0


def answer(node: Node, line: str) -> str:
    """What a control line gets: `ok`, the state as JSON, or `error …`."""
    word, *rest = line.split() or [""]
    match word, rest:
        case "state", []:
            return json.dumps(node.describe())
        case "help", []:
            return "; ".join([*(f"{one.usage}: {one.meaning}" for one in COMMANDS.values()), *_OWN])
        case "finish", []:
            node.hurry()
            return "ok"
        case "await", [gpu]:
            return "ok" if node.await_switch(gpu, _PATIENCE) else f"error ETIMEDOUT: no switch of {gpu}"
    try:
        outcome = node.obey(line)
    except ControlError as error:
        return f"error EINVAL: {error}"
    return "ok" if outcome.errno is None else f"error {outcome.errno}: {outcome.reason}"


_OWN = (
    "state: tells the state as JSON",
    "finish: every switch under way ends now",
    "await GPU: answers when a switch of the GPU is under way",
    "help: this",
)


class _Handler(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        for line in self.rfile:
            text = line.decode("utf-8", "replace").strip()
            if text:
                self.wfile.write(f"{answer(self.server.node, text)}\n".encode())


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    node: Node


class ControlServer:
    """Serves a socket for as long as the context lasts. A socket that a dead process left is replaced."""

    def __init__(self, node: Node, path: str) -> None:
        self.path = path
        if os.path.lexists(path):
            os.unlink(path)
        folder = os.open(os.path.dirname(path), os.O_PATH)
        try:
            # A socket's path is at most 107 bytes long; through the open folder it always is.
            self._server = _Server(f"/proc/self/fd/{folder}/{os.path.basename(path)}", _Handler)
        finally:
            os.close(folder)
        self._server.node = node

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        os.unlink(self.path)
