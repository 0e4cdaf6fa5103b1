"""The registry's process and its configuration."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "releaser", "secret"
# Of that password; the registry takes bcrypt alone.
_HASH = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
_CONFIG = """\
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http:
  addr: {address}
"""
_TLS = "  tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}\n"
_AUTH = "auth: {{htpasswd: {{realm: test, path: {folder}/users}}}}\n"
_LISTENS = re.compile(r"listening on [^ \"]*?:(\d+)")


@contextmanager
def registry(
    folder: Path,
    *,
    closed: bool = False,
    tls: bool = False,
    address: str = "127.0.0.1:0",
    start: Callable[..., Sequence[str]] = lambda *command: command,
) -> Iterator[str]:
    """A registry that keeps its blobs in `folder`; gives its host, with its port.

    Args:
        folder: for its files.
        closed: whether it wants USER and PASSWORD.
        tls: whether it speaks TLS, with the certificate tls.crt and the key tls.key in `folder`, and not plain HTTP.
        address: to listen at.
        start: what the command becomes, so that it runs elsewhere.

    Raises:
        RuntimeError: it did not start; the message holds what it said.
    """
    text = _CONFIG + (_TLS if tls else "") + (_AUTH if closed else "")
    (folder / "config.yml").write_text(text.format(folder=folder, address=address))
    (folder / "users").write_text(f"{USER}:{_HASH}\n")
    process = subprocess.Popen(
        start(str(Path(os.environ["REGISTRY"]).absolute()), "serve", str(folder / "config.yml")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"OTEL_TRACES_EXPORTER": "none", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert process.stderr is not None
    log = []
    try:
        for line in process.stderr:
            log.append(line)
            if match := _LISTENS.search(line):
                break
        else:
            raise RuntimeError(f"docker-registry ended: {''.join(log)[-2000:]}")
        # The rest of its log is nobody's, and must not fill the pipe.
        with subprocess.Popen(["/bin/cat"], stdin=process.stderr, stdout=subprocess.DEVNULL) as drain:
            process.stderr.close()
            try:
                yield f"{'localhost' if tls else '127.0.0.1'}:{match[1]}"
            finally:
                process.terminate()
                process.wait(30)
                drain.wait(30)
    finally:
        process.kill()
        process.wait(30)
        process.stderr.close()
