"""Prometheus metrics; none has a label that could tell one patient or client from another."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lunglens.serve.analysis import Analysis
from lunglens.serve.service import Service

_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._analyses = Counter("lunglens_analyses", "Films by outcome", ["status"], registry=self._registry)
        self._seconds = Histogram(
            "lunglens_analysis_seconds", "From upload to answer", buckets=_SECONDS, registry=self._registry
        )
        self._requests = Counter(
            "lunglens_requests", "Requests by status", ["method", "status"], registry=self._registry
        )
        self._waiting = Gauge("lunglens_waiting", "Films that nobody has begun", registry=self._registry)
        self._kept = Gauge("lunglens_kept", "Analyses kept", registry=self._registry)
        self._index = Gauge(
            "lunglens_drift_index", "Population stability index, from 0.25 on a shift", ["of"], registry=self._registry
        )
        self._gain = Gauge(
            "lunglens_drift_log10_gain",
            "Of a bet on drift, from 2 on no chance",
            ["of"],
            registry=self._registry,
        )
        self._messages = Counter(
            "lunglens_notifications", "Messages to the webhook by outcome", ["outcome"], registry=self._registry
        )
        self._restarts = Gauge("lunglens_worker_restarts", "Analysing processes replaced", registry=self._registry)

    def analysis(self, analysis: Analysis) -> None:
        """Count a film's outcome."""
        self._analyses.labels(analysis.state).inc()
        self._seconds.observe((analysis.finished or analysis.created) - analysis.created)

    def message(self, outcome: str) -> None:
        """Count a message to the webhook."""
        self._messages.labels(outcome).inc()

    def request(self, method: str, status: int) -> None:
        """Count a request; unknown methods are one."""
        name = method if method in {"GET", "HEAD", "POST", "DELETE"} else "other"
        self._requests.labels(name, str(status)).inc()

    def text(self, service: Service) -> bytes:
        """All of them in the text format."""
        self._waiting.set(service.waiting)
        self._kept.set(len(service.analyses))
        self._restarts.set(service.restarts)
        for name, found in service.drift.state().items():
            self._index.labels(name).set(found.index)
            self._gain.labels(name).set(found.log10_gain)
        return generate_latest(self._registry)
