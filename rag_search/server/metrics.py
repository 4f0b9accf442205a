"""Count requests for Prometheus, in a registry of this application alone."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from rag_search.server.service import Service


class Metrics:
    """Counters of requests by route and status, of their seconds, and of requests per model call."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time, open files
        self._requests = Counter("ragsearch_requests", "answers", ["route", "status"], registry=self.registry)
        self._seconds = Histogram("ragsearch_request_seconds", "time to answer", ["route"], registry=self.registry)
        self._waiting = Gauge("ragsearch_waiting", "requests in the queue", ["kind"], registry=self.registry)
        self._batches = Gauge("ragsearch_batches_total", "model calls", ["kind"], registry=self.registry)
        self._batched = Gauge("ragsearch_batched_requests_total", "requests in them", ["kind"], registry=self.registry)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one reply. route: the pattern of the route, never the path that a client chose."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def gather(self, service: Service) -> None:
        """Copy the counts of the batchers into the registry."""
        for kind, batcher in service.batchers.items():
            self._waiting.labels(kind).set(batcher.waiting)
            self._batches.labels(kind).set(batcher.batches)
            self._batched.labels(kind).set(batcher.batched)
