"""`/metrics`. Imported only where it is served: the library costs memory."""

from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.metrics_core import Metric as PromMetric
from prometheus_client.registry import Collector

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.api.metrics import BUCKETS, METRICS, Kind, Metric

__all__ = ["MetricsServer"]


class _Before(Collector):
    """Collects nothing itself; collectors are asked in the order in which they came, and this one is the first."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def collect(self) -> Iterable[PromMetric]:
        """See the library."""
        self._call()
        return ()


class MetricsServer:
    """Keeps every metric of the table, and serves them from a thread of its own."""

    def __init__(self) -> None:
        # A gauge beside each counter and histogram that says when it was made: not in the table, and more lines.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        # Called at the beginning of each scrape, in the thread that serves it, for what is cheaper to ask than to keep.
        self.on_scrape: Callable[[], None] = lambda: None
        self._registry.register(_Before(lambda: self.on_scrape()))  # noqa: PLW0108 - whatever it is by then
        makers: dict[Kind, Callable[[Metric], Counter | Gauge | Histogram]] = {
            Kind.COUNTER: lambda row: Counter(row.name, row.help, row.labels, registry=self._registry),
            Kind.GAUGE: lambda row: Gauge(row.name, row.help, row.labels, registry=self._registry),
            Kind.HISTOGRAM: lambda row: Histogram(
                row.name, row.help, row.labels, registry=self._registry, buckets=BUCKETS
            ),
        }
        self._kept = {row.name: makers[row.kind](row) for row in METRICS}
        self._serving: tuple[WSGIServer, Thread] | None = None

    def start(self, port: int) -> int:
        """Serves on a port, 0 for any; gives the port. Raises HostError if it is taken or none."""
        try:
            server, thread = start_http_server(port, addr="0.0.0.0", registry=self._registry)  # noqa: S104
        except (OSError, OverflowError) as error:
            raise HostError(
                f"metrics port {port}",
                expected="a free TCP port",
                found=str(error),
                action="set --metrics-port to another one, 0 for any, -1 for none",
            ) from error
        self._serving = server, thread
        return int(server.server_port)

    def stop(self) -> None:
        """Ends the thread and closes the port."""
        if self._serving:
            server, thread = self._serving
            self._serving = None
            server.shutdown()
            server.server_close()
            thread.join()

    def count(self, metric: Metric, *labels: str) -> None:
        """See ports.Metrics."""
        kept = self._kept[metric.name]
        if isinstance(kept, Counter):
            kept.labels(*labels).inc()

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """See ports.Metrics."""
        kept = self._kept[metric.name]
        if isinstance(kept, Histogram):
            kept.labels(*labels).observe(seconds)

    def put(self, metric: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """See ports.Metrics."""
        kept = self._kept[metric.name]
        if isinstance(kept, Gauge) and not metric.labels:
            kept.set(values[()])
        elif isinstance(kept, Gauge):
            kept.clear()
            for labels, value in values.items():
                kept.labels(*labels).set(value)
