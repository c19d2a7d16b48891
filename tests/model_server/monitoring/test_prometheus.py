from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tfserve.model_server.monitoring.metric import MAX_CELLS, MAX_LABEL_BYTES, OTHER, Buckets, Counter, Histogram
from tfserve.model_server.monitoring.metrics import METRICS, REQUEST_LATENCY
from tfserve.model_server.monitoring.prometheus import page


def test_the_layout_is_that_of_the_official_page() -> None:
    count = Counter("/tensorflow/serving/request_count", "model_name", "status")
    latency = Histogram(Buckets(10, 1.8, 3), "/a/latency", "API")
    plain = Histogram(Buckets(1, 2, 1), "/a/plain")
    empty = Counter("/a/empty", "x")
    count.add("m", "OK")
    count.add("m", "NOT_FOUND", amount=3)
    for value in (0, 10, 11, 32, 33, 1_000_000_007):
        latency.observe("Predict", value=value)
    plain.observe(value=2)
    assert page([count, latency, plain, empty]).decode().splitlines() == [
        "# TYPE :a:empty counter",
        "# TYPE :a:latency histogram",
        ':a:latency_bucket{API="Predict",le="10"} 2',
        ':a:latency_bucket{API="Predict",le="18"} 3',
        ':a:latency_bucket{API="Predict",le="32.4"} 4',
        ':a:latency_bucket{API="Predict",le="+Inf"} 6',
        ':a:latency_sum{API="Predict"} 1000000093',
        ':a:latency_count{API="Predict"} 6',
        "# TYPE :a:plain histogram",
        ':a:plain_bucket{le="1"} 0',
        ':a:plain_bucket{le="+Inf"} 1',
        ":a:plain_sum{} 2",
        ":a:plain_count{} 1",
        "# TYPE :tensorflow:serving:request_count counter",
        ':tensorflow:serving:request_count{model_name="m",status="NOT_FOUND"} 3',
        ':tensorflow:serving:request_count{model_name="m",status="OK"} 1',
    ]


def test_latency_buckets_reach_twenty_minutes() -> None:
    assert len(REQUEST_LATENCY.limits) == 33
    assert [f"{limit:g}" for limit in REQUEST_LATENCY.limits[:4]] == ["10", "18", "32.4", "58.32"]
    assert math.isclose(REQUEST_LATENCY.limits[-1], 10 * 1.8**32)
    assert 20 < REQUEST_LATENCY.limits[-1] / 60e6 < 30


def test_the_names_of_metrics_are_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@given(st.lists(st.text(), unique=True, max_size=5))
def test_a_strict_parser_reads_any_labels(values: list[str]) -> None:
    counter = Counter("/a/b", "x")
    for value in values:
        counter.add(value)
    families = list(text_string_to_metric_families(page([counter]).decode()))
    assert [family.name for family in families] == [":a:b"]
    read = sorted(sample.labels["x"] for sample in families[0].samples)
    assert read == sorted(value.encode(errors="replace").decode() for value in values)


def test_labels_chosen_by_clients_are_limited() -> None:
    counter = Counter("/a/b", "model", "status")
    counter.add("x" * 100_000, "OK")
    for number in range(MAX_CELLS + 100):
        counter.add(f"model {number}", "OK")
    counter.add("model 0", "OK")
    cells = dict(counter.cells())
    assert len(cells) == MAX_CELLS
    assert cells["model 0", "OK"] == 2
    assert cells[OTHER, OTHER] == 102
    assert sum(cells.values()) == MAX_CELLS + 102


def test_labels_chosen_by_clients_are_limited_in_bytes() -> None:
    counter = Counter("/a/b", "model", "status")
    counter.add("model", "OK")
    for number in range(MAX_CELLS):
        counter.add(f"{chr(0x1F600) * 4000}{number}", "OK")
    counter.add("model", "OK")
    assert dict(counter.cells())["model", "OK"] == 2
    assert len(page([counter])) < 2 * MAX_LABEL_BYTES
