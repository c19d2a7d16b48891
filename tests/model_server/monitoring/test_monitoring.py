"""The metrics page of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.model_server.server_process import ServerProcess

DEFAULT_PATH = "/monitoring/prometheus/metrics"
SERVING = ":tensorflow:serving:"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def start(directory: Path, base_path: Path, config: str, *flags: str) -> ServerProcess:
    file = directory / "monitoring.config"
    file.write_text(config)
    return ServerProcess(directory / "log", base_path, f"--monitoring_config_file={file}", *flags)


def fetch(server: ServerProcess, path: str = DEFAULT_PATH) -> requests.Response:
    return server.session.get(f"http://127.0.0.1:{server.port}{path}")


def samples(server: ServerProcess) -> Samples:
    answer = fetch(server)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    labeled = frozenset(labels.items())
    return found.get(
        (name, labeled), found.get((f"{name}_total", labeled), 0)
    )  # the parser appends this suffix to counters


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("monitored")
    with start(directory, models / "zoo", "prometheus_config { enable: true }") as process:
        yield process.wait_until_ready()


def test_requests_are_counted_and_timed(monitored: ServerProcess) -> None:
    before = samples(monitored)
    for _ in range(5):
        assert monitored.predict({"signature_name": "two", "instances": [[1, 2]]}).status_code == 200
    assert monitored.predict({"signature_name": "wait", "inputs": [0.05]}).status_code == 200
    assert monitored.predict({"instances": "no"}).status_code == 400
    assert monitored.predict({"signature_name": "two", "inputs": [1, 2, 3]}).status_code == 400
    assert monitored.get().status_code == monitored.get("/metadata").status_code == 200
    assert monitored.session.options(monitored.url, headers={"Origin": "https://example.com"}).status_code == 200
    assert monitored.get("/versions/9").status_code == 404
    after = samples(monitored)

    def more(name: str, **labels: str) -> float:
        return value(after, SERVING + name, **labels) - value(before, SERVING + name, **labels)

    assert more("request_count", model_name="m", status="OK") == 8
    assert more("request_count", model_name="m", status="INVALID_ARGUMENT") == 2
    assert more("request_count", model_name="m", status="NOT_FOUND") == 1
    predict = {"model_name": "m", "API": "predict", "entrypoint": "REST"}
    other = {"model_name": "m", "API": "", "entrypoint": "REST"}
    preflight = {"model_name": "", "API": "", "entrypoint": "REST"}
    run = {"model_name": "m", "API": "Predict", "runtime": "TF1"}
    assert more("request_latency_count", **predict) == 6
    assert more("request_latency_count", **other) == 2
    assert more("request_latency_count", **preflight) == more("request_count", model_name="", status="OK") == 1
    assert more("runtime_latency_count", **run) == 6
    assert 50_000 < more("runtime_latency_sum", **run) < more("request_latency_sum", **predict)
    assert more("request_latency_bucket", **predict, le="+Inf") == 6
    assert more("request_latency_bucket", **predict, le="10") == 0


def test_the_name_of_an_unknown_model_is_a_label(monitored: ServerProcess) -> None:
    name = 'a"\\\n b é'
    for path, status in (("a%22%5C%0A%20b%20%C3%A9:predict", 404), ("m:explain", 400)):
        answer = monitored.session.post(f"http://127.0.0.1:{monitored.port}/v1/models/{path}", data="{}")
        assert answer.status_code == status
    found = samples(monitored)
    assert value(found, f"{SERVING}request_count", model_name=name, status="NOT_FOUND") == 1
    assert value(found, f"{SERVING}request_count", model_name="", status="INVALID_ARGUMENT") == 1


def test_loads_are_counted(monitored: ServerProcess, models: Path) -> None:
    found, path = samples(monitored), str(models / "zoo" / "1")
    loaded = ":tensorflow:cc:saved_model:"
    assert value(found, f"{loaded}load_attempt_count", model_path=path, status="success") == 1
    assert value(found, f"{loaded}load_latency", model_path=path) > 100


def test_metrics_without_values_have_their_type(monitored: ServerProcess) -> None:
    text = fetch(monitored).text
    assert f"# TYPE {SERVING}model_warmup_latency histogram\n" in text
    assert f"# TYPE {SERVING}request_example_count_total counter\n" in text


def test_the_configured_path_takes_precedence(half_plus_two: Path, tmp_path: Path) -> None:
    config = 'prometheus_config { enable: true path: "/v1/models/m" }'
    with start(tmp_path, half_plus_two, config) as process:
        process.wait_until_ready()
        assert fetch(process, "/v1/models/m").text.startswith("# TYPE :tensorflow:")
        refused = fetch(process, "/v1/models/m?x=1")
        assert (refused.status_code, refused.headers["content-type"]) == (400, "text/plain")
        assert refused.text == "Unexpected path: /v1/models/m?x=1. Should be /v1/models/m"
        assert fetch(process).status_code == 404
        assert process.predict({"instances": [1]}).json() == {"predictions": [2.5]}
        assert process.get("/metadata").json()["model_spec"]["name"] == "m"


@pytest.mark.parametrize("config", ["# none", "prometheus_config { enable: false }"])
def test_no_page_unless_enabled(half_plus_two: Path, tmp_path: Path, config: str) -> None:
    with start(tmp_path, half_plus_two, config) as process:
        process.wait_until_ready()
        assert fetch(process).status_code == 404


def test_an_invalid_config_fails_the_start(half_plus_two: Path, tmp_path: Path) -> None:
    with start(tmp_path, half_plus_two, "prometheus_config { on: true }") as process:
        assert process.wait_for_exit() == 255
        file = tmp_path / "monitoring.config"
        assert f"Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file: '{file}'" in process.log


def test_batches_are_measured(models: Path, tmp_path: Path) -> None:
    parameters = tmp_path / "batching"
    parameters.write_text(
        'allowed_batch_sizes: 4 max_batch_size { value: 4 } thread_pool_name { value: "pool" } '
        "batch_timeout_micros { value: 0 }"
    )
    flags = ("--enable_batching", f"--batching_parameters_file={parameters}")
    with start(tmp_path, models / "batch", "prometheus_config { enable: true }", *flags) as process:
        process.wait_until_ready()
        assert process.predict({"instances": [[1], [2], [3]]}).json()["predictions"][0]["rows"] == 4
        found = samples(process)
    session = f"{SERVING}batching_session:"
    assert value(found, f"{session}wrapped_run_count") == 1
    assert value(found, f"{session}input_batch_size_sum") == 3
    assert value(found, f"{session}processed_batch_size_sum") == 4
    assert value(found, f"{session}padding_size_sum", execution_batch_size="4") == 1
    assert value(found, f"{session}queuing_latency_count", thread_pool_name="pool") == 1
