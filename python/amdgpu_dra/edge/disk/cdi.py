"""The folder of CDI documents, which is shared with other drivers: only files of ours are touched."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from amdgpu_dra.core.cdi import encode_spec, spec_file_name
from amdgpu_dra.edge.disk.atomic import host_errors, remove_file, sweep_temporaries, write_file

_START, _END = spec_file_name("\n").split("\n")


class CdiDirectory:
    """`<folder>/k8s.gpu.amd.com-gpu_<uid>.json`. Fulfils `agent/ports.CdiFolder`."""

    def __init__(self, folder: str) -> None:
        """Makes the folder. Raises HostError."""
        self.folder = folder
        with host_errors(f"CDI folder {folder}", "to make it"):
            os.makedirs(folder, mode=0o755, exist_ok=True)

    def write(self, uid: str, document: Mapping[str, Any]) -> bool:
        """Writes a document unless the file holds exactly it; whether it was written.

        Not made durable: the folder is a tmpfs nearly everywhere, and a Prepare after a reboot writes it again.
        """
        data = encode_spec(document)
        path = f"{self.folder}/{spec_file_name(uid)}"
        with host_errors(f"CDI folder {self.folder}", "to write a document"):
            try:
                with open(path, "rb") as file:
                    if file.read() == data:
                        return False
            except FileNotFoundError:
                os.makedirs(self.folder, mode=0o755, exist_ok=True)
            write_file(self.folder, spec_file_name(uid), data, durable=False)
        return True

    def read(self, uid: str) -> bytes | None:
        """A claim's document as it is there, or None."""
        with host_errors(f"CDI folder {self.folder}", "to read a document"):
            try:
                with open(f"{self.folder}/{spec_file_name(uid)}", "rb") as file:
                    return file.read()
            except FileNotFoundError:
                return None

    def remove(self, uid: str) -> None:
        """Removes a claim's document, if it is there."""
        with host_errors(f"CDI folder {self.folder}", "to remove a document"):
            remove_file(f"{self.folder}/{spec_file_name(uid)}")

    def claims(self) -> list[str]:
        """UIDs of the claims that have a document here."""
        with host_errors(f"CDI folder {self.folder}", "to read it"):
            names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return [name[len(_START) : -len(_END)] for name in names if name.startswith(_START) and name.endswith(_END)]

    def sweep(self, may: Callable[[str], bool]) -> None:
        """Removes what killed processes left half written of claims (their UIDs) of which `may` is true."""
        with host_errors(f"CDI folder {self.folder}", "to remove half documents"):
            sweep_temporaries(self.folder, _START, _END, may)
