"""The plugin as a process, on folders of its own."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a plugin is started on: program, fake tree, credentials and node.

    `work` is where its folders are; its path has to be short enough for sockets.
    """

    command: list[str]
    environment: Mapping[str, str]
    work: Path
    tree: Path
    kubeconfig: Path
    node: str

    @classmethod
    def of(
        cls, work: Path, program: tuple[list[str], Mapping[str, str]], node: str, *, tree: Path | None = None
    ) -> Self:
        """With everything in one folder: `tree`, unless it is elsewhere, and `kubeconfig`.

        Args:
            work: the folder.
            program: command and environment, as `assemble` gives them.
            node: its name.
            tree: where the fake tree is.
        """
        command, environment = program
        return cls(
            command=command,
            environment=environment,
            work=work,
            tree=tree or work / "tree",
            kubeconfig=work / "kubeconfig",
            node=node,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A running plugin and its folders."""

    process: asyncio.subprocess.Process
    registry: Path
    cdi: Path
    records: Path
    log: Path

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 30) -> int:
        """Sends a signal and waits for the end; gives the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(seconds):
            return await self.process.wait()


async def start_plugin(setting: Setting, *flags: str) -> Plugin:
    """Starts it; further flags win over those that the setting gives."""
    work, log = setting.work, setting.work / "plugin.log"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *setting.command,
            f"-node-name={setting.node}",
            f"--cdi-root={work}/cdi",
            f"--kubelet-registrar-directory-path={work}/registry",
            f"--kubelet-plugins-directory-path={work}/plugins",
            f"--kubeconfig={setting.kubeconfig}",
            f"--sysfs-root={setting.tree}/sys",
            f"--dev-root={setting.tree}/dev",
            "--allow-fake-device-nodes",
            *flags,
            stdout=file,
            stderr=file,
            env=dict(setting.environment),
        )
    return Plugin(
        process=process,
        registry=work / "registry",
        cdi=work / "cdi",
        records=work / "plugins" / "gpu.amd.com" / "claims",
        log=log,
    )
