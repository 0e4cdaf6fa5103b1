"""The control lines of a fake kernel: one word for what happens, then what it happens to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from amdgpu_dra.core.fakegpu import GpuSpec
from amdgpu_dra.core.fakekernel.driver import load, plug, reboot, unload, unplug
from amdgpu_dra.core.fakekernel.files import AER, BLOCKS, KINDS
from amdgpu_dra.core.fakekernel.kernel import Kernel, Outcome
from amdgpu_dra.core.gpu import PciAddress

_MOST_PAGES = 4096


class ControlError(ValueError):
    """A control line that says nothing we know; the message tells what would."""


def obey(kernel: Kernel, line: str) -> Outcome:
    """Carries out one control line.

    Raises:
        ControlError: the line is none of `COMMANDS`, or names a GPU that there is not.
    """
    word, *rest = line.split() or [""]
    if word not in COMMANDS:
        raise ControlError(f"expected one of {', '.join(COMMANDS)}, found {word!r}")
    command = COMMANDS[word]
    try:
        return command.act(kernel, rest)
    except ValueError as error:
        raise ControlError(f"{word}: expected `{command.usage}`, found {line!r}: {error}") from error


def describe(kernel: Kernel) -> dict[str, object]:
    """The state as plain data."""
    return {
        "fleet": kernel.fleet.name,
        "loaded": kernel.loaded,
        "busy": "gpu" if kernel.per_gpu else "node",
        "delay": kernel.delay,
        "generation": kernel.history.generation,
        "holders": {str(pid): sorted(map(str, gpus)) for pid, gpus in kernel.holders.items()},
        "gpus": [_describe_gpu(kernel, gpu) for gpu in kernel.fleet.gpus],
    }


def _describe_gpu(kernel: Kernel, gpu: GpuSpec) -> dict[str, object]:
    flags = {
        "resetting": kernel.resetting,
        "failing": kernel.failing,
        "lost": kernel.lost,
        "unplugged": kernel.unplugged,
    }
    return {
        "address": str(gpu.address),
        "model": gpu.model,
        "compute": gpu.compute,
        "memory": gpu.memory,
        "switchingTo": kernel.switching.get(gpu.address),
        "requestedMemory": kernel.requested.get(gpu.address),
        "is": [name for name, gpus in flags.items() if gpu.address in gpus],
        "errors": {f"{what} {kind}": n for (address, what, kind), n in kernel.counts.items() if address == gpu.address},
    }


def _gpu(kernel: Kernel, text: str) -> GpuSpec:
    found = next((gpu for gpu in kernel.fleet.gpus if str(gpu.address) == text), None)
    if found is None:
        raise ValueError(f"no GPU {text}; there are {', '.join(str(gpu.address) for gpu in kernel.fleet.gpus)}")
    return found


def _word(text: str, words: Mapping[str, bool]) -> bool:
    if text not in words:
        raise ValueError(f"{text!r} is none of {', '.join(words)}")
    return words[text]


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no whole number from 0 up")
    return int(text)


def _delay(kernel: Kernel, rest: list[str]) -> Outcome:
    (text,) = rest
    seconds = float(text)
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour is long enough for every test of patience
        raise ValueError("expected seconds from 0 to 3600")
    return Outcome(kernel=replace(kernel, delay=seconds))


def _busy(kernel: Kernel, rest: list[str]) -> Outcome:
    (text,) = rest
    return Outcome(kernel=replace(kernel, per_gpu=_word(text, {"gpu": True, "node": False})))


def _hold(kernel: Kernel, rest: list[str]) -> Outcome:
    pid, *names = rest
    gpus = frozenset(_gpu(kernel, name).address for name in names) or frozenset(g.address for g in kernel.fleet.gpus)
    if kernel.switching:
        return Outcome(kernel=kernel, errno="EINVAL", reason="/dev/kfd cannot be opened while a GPU is being switched")
    return Outcome(kernel=replace(kernel, holders={**kernel.holders, _natural(pid): gpus}))


def _release(kernel: Kernel, rest: list[str]) -> Outcome:
    (pid,) = rest
    left = {other: gpus for other, gpus in kernel.holders.items() if other != _natural(pid)}
    return Outcome(kernel=replace(kernel, holders=left))


def _toggled(gpus: frozenset[PciAddress], address: PciAddress, *, on: bool) -> frozenset[PciAddress]:
    return gpus | {address} if on else gpus - {address}


def _reset(kernel: Kernel, rest: list[str]) -> Outcome:
    name, text = rest
    on = _word(text, {"on": True, "off": False})
    return Outcome(kernel=replace(kernel, resetting=_toggled(kernel.resetting, _gpu(kernel, name).address, on=on)))


def _fail(kernel: Kernel, rest: list[str]) -> Outcome:
    name, text = rest
    on = _word(text, {"eio": True, "off": False})
    return Outcome(kernel=replace(kernel, failing=_toggled(kernel.failing, _gpu(kernel, name).address, on=on)))


def _lose(kernel: Kernel, rest: list[str]) -> Outcome:
    name, text = rest
    on = _word(text, {"on": True, "off": False})
    return Outcome(kernel=replace(kernel, lost=_toggled(kernel.lost, _gpu(kernel, name).address, on=on)))


def _counted(kernel: Kernel, name: str, what: str, kind: str, number: int) -> Outcome:
    return Outcome(kernel=replace(kernel, counts={**kernel.counts, (_gpu(kernel, name).address, what, kind): number}))


def _ras(kernel: Kernel, rest: list[str]) -> Outcome:
    name, block, kind, number = rest
    _word(block, dict.fromkeys(BLOCKS, True))
    _word(kind, dict.fromkeys(KINDS, True))
    return _counted(kernel, name, f"ras/{block}", kind, _natural(number))


def _aer(kernel: Kernel, rest: list[str]) -> Outcome:
    name, kind, number = rest
    _word(kind, dict.fromkeys(AER, True))
    return _counted(kernel, name, "aer", kind, _natural(number))


def _bad_pages(kernel: Kernel, rest: list[str]) -> Outcome:
    name, number = rest
    return _counted(kernel, name, "badpages", "R", min(_natural(number), _MOST_PAGES))


def _fatal(kernel: Kernel, rest: list[str]) -> Outcome:
    name, number = rest
    return _counted(kernel, name, "event", "fatal", _natural(number))


def _reload(kernel: Kernel, rest: list[str]) -> Outcome:
    gone = _alone(unload)(kernel, rest)
    return gone if gone.errno is not None else load(gone.kernel)


def _alone(act: Callable[[Kernel], Outcome]) -> Callable[[Kernel, list[str]], Outcome]:
    def run(kernel: Kernel, rest: list[str]) -> Outcome:
        if rest:
            raise ValueError("it stands alone")
        return act(kernel)

    return run


def _of_gpu(act: Callable[[Kernel, GpuSpec], Outcome]) -> Callable[[Kernel, list[str]], Outcome]:
    def run(kernel: Kernel, rest: list[str]) -> Outcome:
        (name,) = rest
        return act(kernel, _gpu(kernel, name))

    return run


@dataclass(frozen=True, slots=True)
class Command:
    """A control line: how it is written, what it does, and how it is carried out."""

    usage: str
    meaning: str
    act: Callable[[Kernel, list[str]], Outcome]


COMMANDS = {
    command.usage.split()[0]: command
    for command in (
        Command("delay SECONDS", "switches take so long from now on", _delay),
        Command("busy gpu|node", "a KFD process blocks switches of the GPUs it holds, or of every GPU", _busy),
        Command("hold PID [GPU…]", "a KFD process opens these GPUs, all if none is named", _hold),
        Command("release PID", "that process ends", _release),
        Command("reset GPU on|off", "a reset of the GPU begins or ends", _reset),
        Command("fail GPU eio|off", "KFD does not come back after the next switch of the GPU", _fail),
        Command("lose GPU on|off", "the GPU falls off the bus or is there again", _lose),
        Command("ras GPU BLOCK ue|ce|de COUNT", "the GPU has counted so many errors in a block", _ras),
        Command("aer GPU correctable|nonfatal|fatal COUNT", "the PCI core has counted so many errors", _aer),
        Command("badpages GPU COUNT", "so many pages of the GPU's memory are retired", _bad_pages),
        Command("fatal GPU COUNT", "the GPU has had so many fatal events", _fatal),
        Command("unplug GPU", "the GPU is taken out of its slot", _of_gpu(unplug)),
        Command("plug GPU", "the GPU is put back", _of_gpu(plug)),
        Command("unload", "the driver is unloaded", _alone(unload)),
        Command("load", "the driver is loaded; requested memory modes come into force", _alone(load)),
        Command("reload", "both", _reload),
        Command("reboot", "the node starts anew, in NPS1", _alone(reboot)),
    )
}
