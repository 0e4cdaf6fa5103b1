"""The judges of reports and waits: they find what they are there to find."""

from collections.abc import Sequence

from harness import Expected, Hold, Span, check_waits, find_races, judge, parse_failures, parse_reports
from hypothesis import given
from hypothesis import strategies as st

REPORT = ["a:1.0 start 128", "a:1.5 beat", "a:2.0 end", "b:2.5 start 128 136", "b:3.0 beat"]


def _hold(pod: str, minors: str, start: float, last: float) -> Hold:
    return Hold(pod=pod, minors=frozenset(minors.split()), start=start, last=last, ended=True)


def test_reports_are_read() -> None:
    """Each start is one hold, until its last line; one that was killed has no end."""
    first, second = parse_reports(REPORT)

    assert first == _hold("a", "128", 1.0, 2.0)
    assert (second.minors, second.start, second.last, second.ended) == ({"128", "136"}, 2.5, 3.0, False)


def test_a_second_start_of_a_pod_is_a_hold_of_its_own() -> None:
    """What a restart of the node interrupted ends with its last sign of life, not with the next start."""
    holds = parse_reports(["a:1.0 start 128", "a:1.5 beat", "a:9.0 start 128", "a:9.5 end"])

    assert [(hold.start, hold.last) for hold in holds] == [(1.0, 1.5), (9.0, 9.5)]
    assert judge(holds, {"a": Expected(gpus=1)}) == []


def test_what_is_wrong_with_a_pod_is_said() -> None:
    """A pod that never ran, got too few GPUs, could not open one, got others than before, or did not end."""
    expected = {name: Expected(gpus=1) for name in ("never", "few", "closed", "others", "endless")}
    holds = parse_reports(
        [
            "few:1 start",
            "few:2 end",
            "closed:1 start /dev/kfd: Operation not permitted",
            "closed:2 end",
            "others:1 start 1",
            "others:2 start 2",
            "others:3 end",
            "endless:1 start 3",
            "stranger:1 start 4",
        ]
    )
    found = judge(holds, expected)

    assert [text.split()[0] for text in found] == ["never", "few", "closed", "others", "endless", "stranger"]


@st.composite
def _turns(draw: st.DrawFn) -> list[Hold]:
    """Pods that hold one GPU one after another."""
    times = sorted(draw(st.lists(st.integers(0, 10**6), min_size=2, max_size=12, unique=True)))
    return [_hold(f"p{n}", "128", times[n], times[n + 1] - 0.5) for n in range(len(times) - 1)]


def _judged(holds: Sequence[Hold]) -> list[str]:
    return judge(holds, {hold.pod: Expected(gpus=1) for hold in holds})


@given(_turns())
def test_a_gpu_may_go_from_pod_to_pod(holds: list[Hold]) -> None:
    """Holds that do not touch are all right, in whatever order they are read."""
    assert _judged(holds) == []
    assert _judged(holds[::-1]) == []


@given(_turns(), st.data())
def test_a_gpu_of_two_pods_at_once_is_found(holds: list[Hold], data: st.DataObject) -> None:
    """A pod that holds the GPU at a moment at which another does is found, however long ago that one began."""
    other = data.draw(st.sampled_from(holds))
    moment = data.draw(st.floats(other.start, other.last))
    found = _judged([*holds, _hold("intruder", "128", moment, moment)])

    assert any("intruder" in text and "held by" in text for text in found)


def test_a_prepare_that_failed_is_read_from_the_kubelets_log() -> None:
    """Each of the namespace's counts, with why, however its text is quoted; nothing else does."""
    start = 'E1125 17:14:22.902813    4640 kuberuntime_manager.go:1727] "Failed to prepare dynamic resources" '
    failures = parse_failures(
        [
            start + r'err="connection error: desc = \"error reading server preface\"" pod="soak/a"',
            start + 'err="resourceclaims \'b\' is forbidden: no relationship found between node" pod="soak/b"',
            start + 'err="not registered" pod="soak/a"',
            start + 'err="not registered" pod="other/c"',
            'I1125 17:14:22.902813    4640 server.go:177] "Pod update broadcasted" pod="soak/d"',
        ],
        "soak",
    )

    assert {pod: len(texts) for pod, texts in failures.items()} == {"a": 2, "b": 1}
    assert find_races(failures) == {"b"}


_PODS = st.sampled_from("abcd")
_TIMES = st.integers(0, 1000)


@given(st.dictionaries(_PODS, st.tuples(_TIMES, _TIMES)), st.dictionaries(_PODS, st.integers(1, 9)), _TIMES, _TIMES)
def test_a_wait_is_too_long_for_its_failures(
    waits: dict[str, tuple[int, int]], counts: dict[str, int], start: int, length: int
) -> None:
    """Allowed are a minute, what the kubelet takes for each further try, and the seconds in which nothing can start."""
    spans = {pod: Span(start=begin, end=begin + seconds) for pod, (begin, seconds) in waits.items()}
    found = check_waits(
        spans, {pod: ["x"] * count for pod, count in counts.items()}, [Span(start=start, end=start + length)]
    )

    def net(pod: str) -> int:
        begin, seconds = waits[pod]
        return sum(not start <= second < start + length for second in range(begin, begin + seconds))

    assert [text[0] for text in found] == [pod for pod in waits if net(pod) > 60 + 90 * counts.get(pod, 0)]
