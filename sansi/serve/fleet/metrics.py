"""What Prometheus is told of a fleet: the replicas' metrics added up, and the front's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

HIT_RATIO = "sansi_prefix_cache_hit_ratio"
_OF_PROMPTS = ("sansi_prompt_tokens_total", "sansi_cached_prompt_tokens_total")
_SAME = ("sansi_build_info",)
"""Not added up: all say the same."""


def merged(texts: Iterable[str]) -> list[Metric]:
    """The metrics of several servers as those of one: counts and gauges added, the hit ratio of all prompts."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in _parsed(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            added = values.setdefault(known.name, {})
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                key = (sample.name, tuple(sample.labels.items()))
                added[key] = sample.value if known.name in _SAME else added.get(key, 0.0) + sample.value
    for name, family in families.items():
        family.samples = [Sample(sample, dict(labels), value) for (sample, labels), value in values[name].items()]
    if HIT_RATIO in families:
        families[HIT_RATIO].samples = _ratios(families)
    return list(families.values())


def _parsed(text: str) -> list[Metric]:
    """Empty for what is no metrics: a replica that is ending may say anything."""
    try:
        return list(text_string_to_metric_families(text))
    except ValueError:
        return []


def _ratios(families: Mapping[str, Metric]) -> list[Sample]:
    """Cached over read, for each model: ratios do not add up."""
    read: dict[str, dict[str, float]] = {name: {} for name in _OF_PROMPTS}
    for family in families.values():
        for sample in family.samples:
            if sample.name in read:
                read[sample.name][sample.labels["model"]] = sample.value
    prompts, cached = (read[name] for name in _OF_PROMPTS)
    return [
        Sample(HIT_RATIO, {"model": model}, cached.get(model, 0.0) / count if count else 0.0)
        for model, count in prompts.items()
    ]


def own(
    states: Sequence[str], restarts: Sequence[int], loads: Sequence[int], routed: Counter[str], retried: int
) -> list[Metric]:
    """What the front knows: of each replica, by its number; of requests, by why they went where they went."""
    up = GaugeMetricFamily("sansi_replica_up", "Whether the replica takes requests.", labels=["replica"])
    answers = GaugeMetricFamily("sansi_replica_answers", "Answers that it is at.", labels=["replica"])
    began = CounterMetricFamily("sansi_replica_restarts", "How often it was started again.", labels=["replica"])
    for number, (state, count, load) in enumerate(zip(states, restarts, loads, strict=True)):
        up.add_metric([str(number)], float(state == "up"))
        answers.add_metric([str(number)], load)
        began.add_metric([str(number)], count)
    told = "Requests by what chose their replica: prefix, load, or spill (their beginning is where too much waits)."
    chosen = CounterMetricFamily("sansi_routed_requests", told, labels=["by"])
    for how in ("prefix", "load", "spill"):
        chosen.add_metric([how], routed[how])
    again = CounterMetricFamily("sansi_retried_requests", "Requests that went on to another replica.", value=retried)
    return [up, answers, began, chosen, again]


def as_text(metrics: Sequence[Metric]) -> bytes:
    """In Prometheus' format."""

    class Given(Collector):
        def collect(self) -> Iterable[Metric]:
            return metrics

    registry = CollectorRegistry()
    registry.register(Given())
    return generate_latest(registry)
