"""What Prometheus is told: of each model's engine, and of the requests. Every application has a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from sansi import __version__
from sansi.chat import ChatModel
from sansi.serve.http.admission import Admission
from sansi.serve.http.request_log import Record
from sansi.serve.http.streaming_response import GAP_BOUNDS, Gaps

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
GAUGES = {
    "waiting": ("requests_waiting", "Requests in the engine's queue."),
    "running": ("requests_running", "Requests that the engine runs now."),
    "hit_rate": ("prefix_cache_hit_ratio", "Part of all prompt tokens that came from the prefix cache."),
    "prefill_tokens_per_second": ("prefill_tokens_per_second", "Prompt tokens read a second of work, lately."),
    "decode_tokens_per_second": ("decode_tokens_per_second", "Tokens sampled a second of work, lately."),
}
COUNTERS = {
    "prompt_tokens": ("prompt_tokens", "Tokens of all prompts that began to run."),
    "cached_tokens": ("cached_prompt_tokens", "How many of them came from the prefix cache."),
    "prefill_tokens": ("prefill_tokens", "Tokens read: of prompts, and again after a preemption."),
    "decode_tokens": ("generated_tokens", "Tokens generated."),
    "thinking_tokens": ("thinking_tokens", "How many of them, in answers that have ended, were thoughts."),
    "preemptions": ("preemptions", "How often a running request gave up its cache blocks."),
    "drafted_tokens": ("drafted_tokens", "Speculative tokens that were checked."),
    "accepted_tokens": ("accepted_tokens", "How many of them came."),
    "failed": ("engine_failures", "Requests that the engine ended with an error."),
    "steps": ("engine_steps", "Steps of the engine."),
}


class ServerMetrics:
    """Counts requests as they end, and reads the engines when it is asked."""

    def __init__(self, models: Mapping[str, ChatModel], admission: Admission):
        self.registry = CollectorRegistry()
        self.gaps = {name: Gaps() for name in models}
        self._requests = self._counter("http_requests", "Requests that have ended.", "method", "route", "status")
        self._errors = self._counter("request_errors", "Requests that ended with an error of this code.", "code")
        self._seconds = self._histogram("http_request_duration_seconds", "From arrival to the end.", "route")
        self._first = self._histogram("time_to_first_token_seconds", "From arrival to the first text.", "model")
        self._total = self._histogram("generation_duration_seconds", "From arrival to the end of an answer.", "model")
        self.registry.register(_Live(models, admission, self.gaps))

    def ended(self, record: Record) -> None:
        self._requests.labels(_method(record.method), record.route, str(record.status)).inc()
        self._seconds.labels(record.route).observe(record.seconds)
        if record.error is not None:
            self._errors.labels(record.error).inc()
        if record.model is not None and record.results:
            self._total.labels(record.model).observe(record.seconds)
            if record.first_token is not None:
                self._first.labels(record.model).observe(record.first_token)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"sansi_{name}", told, labels, registry=self.registry)

    def _histogram(self, name: str, told: str, *labels: str) -> Histogram:
        return Histogram(f"sansi_{name}", told, labels, buckets=SECONDS, registry=self.registry)


class _Live:
    """What is read at the moment of the question."""

    def __init__(self, models: Mapping[str, ChatModel], admission: Admission, gaps: Mapping[str, Gaps]):
        self._models, self._admission, self._gaps = models, admission, gaps

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("sansi_build_info", "The version that runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        held = GaugeMetricFamily("sansi_answers_held", "Answers that run or wait.", labels=["model"])
        gaps = HistogramMetricFamily("sansi_inter_token_seconds", "Between two pieces of a stream.", labels=["model"])
        for name, chat in self._models.items():
            if _owns_engine(chat):
                held.add_metric([name], self._admission.held(name))
            gaps.add_metric([name], _buckets(self._gaps[name]), self._gaps[name].total)
        yield held
        yield gaps
        yield from self._engines()

    def _engines(self) -> Iterator[Metric]:
        engines = {name: getattr(chat, "engine", None) for name, chat in self._models.items() if _owns_engine(chat)}
        read = {name: engine.metrics() for name, engine in engines.items() if engine is not None}
        for field, (name, told) in GAUGES.items():
            yield _family(GaugeMetricFamily(f"sansi_{name}", told, labels=["model"]), read, field)
        for field, (name, told) in COUNTERS.items():
            yield _family(CounterMetricFamily(f"sansi_{name}", told, labels=["model"]), read, field)
        blocks = GaugeMetricFamily("sansi_cache_blocks", "Blocks of the key-value cache.", labels=["model", "state"])
        ends = CounterMetricFamily("sansi_completions", "By why they ended.", labels=["model", "finish_reason"])
        thoughts = CounterMetricFamily("sansi_thoughts", "By why they ended.", labels=["model", "end_reason"])
        for model, metrics in read.items():
            for state in ("free", "cached", "owned"):
                blocks.add_metric([model, state], getattr(metrics, f"blocks_{state}"))
            for reason, count in metrics.finished.items():
                ends.add_metric([model, reason], count)
            for reason, count in metrics.thinking_ends.items():
                thoughts.add_metric([model, reason], count)
        yield from (blocks, ends, thoughts)


def _owns_engine(chat: ChatModel) -> bool:
    """Whether it is the model itself: what its adapters do counts as the engine's that they share."""
    return getattr(chat, "adapter", None) is None


def _family(family: Any, read: Mapping[str, Any], field: str) -> Metric:
    for model, metrics in read.items():
        family.add_metric([model], getattr(metrics, field))
    return family


def _buckets(gaps: Gaps) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus has them."""
    found, total = [], 0
    for bound, count in zip((*GAP_BOUNDS, "+Inf"), gaps.counts, strict=True):
        total += count
        found.append((str(bound), float(total)))
    return found


def _method(method: str) -> str:
    """A client can send any word as a method; a label must not grow with that."""
    return method if method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH") else "other"
