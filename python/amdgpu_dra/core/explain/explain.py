"""Asks the allocator node by node, and puts the answer into words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from amdgpu_dra.core.allocate import (
    Allocated,
    Allocator,
    DeviceClass,
    Failed,
    Inventory,
    Node,
    Outcome,
    Reason,
    Refusal,
    SelectorCache,
    Slice,
    StepLimit,
    inspect_devices,
)
from amdgpu_dra.core.explain.aggregate import aggregate
from amdgpu_dra.core.explain.model import Cause, Cluster, Explanation, Question, Row, Verdict
from amdgpu_dra.core.explain.names import Names
from amdgpu_dra.core.explain.words import WORDS, describe

# What every node may use up, however long the search of others was.
_LEAST_STEPS = 1000


@dataclass(slots=True, kw_only=True)
class _Answers:
    """The nodes by what became of them."""

    fitting: list[tuple[Node, Allocated]] = field(default_factory=list)
    refusing: list[tuple[Node, Outcome]] = field(default_factory=list)

    def count(self, kind: type[Failed | StepLimit]) -> int:
        """Refusing nodes with such an outcome; a failure that is of its node alone does not count."""
        return sum(
            isinstance(outcome, kind) and not (isinstance(outcome, Failed) and outcome.node_local)
            for _, outcome in self.refusing
        )

    @property
    def verdict(self) -> Verdict:
        """What they come to together."""
        if self.count(Failed):
            return Verdict.ERROR
        if self.fitting:
            return Verdict.FITS
        return Verdict.UNKNOWN if self.count(StepLimit) else Verdict.REFUSED


class _Explainer:
    """One question."""

    def __init__(self, question: Question) -> None:
        cluster, self._question = _ordered(question.cluster), question
        self._cluster, self._claim = cluster, question.claim
        self._inventory, self._selectors = Inventory(cluster.slices), SelectorCache()
        self._names = Names(cluster.slices, cluster.features)
        self._looking = self._allocator(0)

    def answer(self) -> Explanation:
        """The explanation."""
        nodes, claim = self._cluster.nodes, self._claim
        classes = {item.name: item for item in reversed(self._cluster.classes)}
        known = self._cluster.slices and not self._question.held
        answer = Explanation(
            claim=str(claim),
            verdict=Verdict.ALLOCATED,
            nodes=len(nodes),
            devices=_count_devices(self._cluster),
            notes=self._names.notes(claim, classes) if known else (),
        )
        if self._question.held:
            return replace(answer, gets=self._question.held)
        answers = self._ask(nodes)
        place, gets = _first(answers.fitting)
        return replace(
            answer,
            verdict=answers.verdict,
            fitting=len(answers.fitting),
            failing=answers.count(Failed),
            unsure=answers.count(StepLimit),
            place=place,
            gets=gets,
            rows=() if answers.verdict is Verdict.FITS else self._rows(answers),
        )

    def _allocator(self, steps: int) -> Allocator:
        cluster = self._cluster
        return Allocator(
            cluster.features,
            cluster.state,
            cluster.classes,
            self._inventory,
            selectors=self._selectors,
            most_steps=steps,
        )

    def _ask(self, nodes: Iterable[Node]) -> _Answers:
        found, left = _Answers(), self._question.most_steps
        for node in nodes:
            outcome = self._allocator(max(left, min(_LEAST_STEPS, self._question.most_steps))).allocate(
                node, [self._claim]
            )
            left -= outcome.steps
            if isinstance(outcome, Allocated):
                found.fitting.append((node, outcome))
            else:
                found.refusing.append((node, outcome))
        return found

    def _rows(self, answers: _Answers) -> tuple[Row, ...]:
        refused: list[Refusal] = []
        empty: list[Node] = []
        for node, outcome in answers.refusing:
            rows = self._look(node, outcome)
            refused += rows
            if not rows:
                empty.append(node)
        classes = tuple(sorted({item.name for item in self._cluster.classes}))
        found = [describe(group, self._names, classes) for group in aggregate(refused)]
        found += self._without_devices(empty)
        return tuple(sorted(found, key=lambda row: (not row.cause.is_error, -row.count)))

    def _look(self, node: Node, outcome: Outcome) -> Sequence[Refusal]:
        """Why the node refuses; an error that no device shows is a row of its own."""
        rows = inspect_devices(self._looking, node, self._claim)
        if isinstance(outcome, Failed) and not any(
            row.reason in {Reason.ERROR, Reason.POOL_INVALID, Reason.POOL_INCOMPLETE} for row in rows
        ):
            row = Refusal(node=node.name, request="", device=None, reason=Reason.ERROR, detail=outcome.text)
            return (*rows, row)
        return rows

    def _without_devices(self, nodes: Sequence[Node]) -> list[Row]:
        if not nodes and self._cluster.nodes:
            return []
        cause = Cause.NO_DEVICES if self._cluster.slices else Cause.NO_SLICES
        words = WORDS[cause]
        return [
            Row(
                cause=cause,
                count=len(nodes),
                devices=frozenset(),
                nodes=len(nodes),
                requests=(),
                example=nodes[0].name if nodes else "",
                reason=words.reason,
                change=words.change,
            )
        ]


def explain(question: Question) -> Explanation:
    """Where the claim fits and what it would get; or why it does not, by cause."""
    return _Explainer(question).answer()


def _ordered(cluster: Cluster) -> Cluster:
    """The same cluster, whatever the order in which its parts were given."""
    by_name: Callable[[Node | DeviceClass], str] = lambda item: item.name  # noqa: E731
    slice_key: Callable[[Slice], tuple[str, str, str]] = lambda item: (item.driver, item.pool, item.name)  # noqa: E731
    return replace(
        cluster,
        slices=tuple(sorted(cluster.slices, key=slice_key)),
        classes=tuple(sorted(cluster.classes, key=by_name)),
        nodes=tuple(sorted(cluster.nodes, key=by_name)),
    )


def _count_devices(cluster: Cluster) -> int:
    """Devices that the nodes could reach by the slices' node names; slices without one are counted too."""
    names = {node.name for node in cluster.nodes}
    near = (item for item in cluster.slices if not item.placement.node_name or item.placement.node_name in names)
    return len({device.id for item in near for device in item.devices})


def _first(fitting: Sequence[tuple[Node, Allocated]]) -> tuple[str, tuple[tuple[str, str], ...]]:
    if not fitting:
        return "", ()
    node, outcome = fitting[0]
    return node.name, tuple(results(outcome.results[0]))


def results(allocation: object) -> Iterable[tuple[str, str]]:
    """Request and device (`pool/device`) of an AllocationResult (v1 JSON)."""
    devices = allocation.get("devices") if isinstance(allocation, dict) else None
    rows = devices.get("results") if isinstance(devices, dict) else None
    for row in rows or ():
        yield str(row["request"]), f"{row['pool']}/{row['device']}"
