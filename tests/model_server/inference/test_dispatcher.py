from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.model_server.server_process import PATIENCE, ServerProcess

CLIENTS = 40
BATCH = (
    f"max_batch_size {{ value: {CLIENTS} }} batch_timeout_micros {{ value: 60000000 }} "
    "num_batch_threads { value: 1 } max_enqueued_batches { value: 1 } pad_variable_length_inputs: true"
)


@pytest.fixture(scope="module")
def batching_server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[ServerProcess]:
    """A server whose batches have room for all clients, and wait for them for up to a minute."""
    directory = tmp_path_factory.mktemp("batching")
    (directory / "batching.txt").write_text(BATCH)
    flags = ("--enable_batching", f"--batching_parameters_file={directory / 'batching.txt'}")
    with ServerProcess(directory / "log", models / "batch", *flags, "--tensorflow_inter_op_parallelism=4") as process:
        yield process.wait_until_ready()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        yield pool


def ask(server: ServerProcess, body: Any) -> requests.Response:
    return requests.post(f"{server.url}:predict", json=body, timeout=2 * PATIENCE)


def test_many_connections_share_one_batch(batching_server: ServerProcess, clients: ThreadPoolExecutor) -> None:
    asked = [clients.submit(ask, batching_server, {"instances": [[number]]}) for number in range(CLIENTS)]
    for number, future in enumerate(asked):
        answer = future.result()
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"predictions": [{"x": [number], "rows": CLIENTS, "width": 1}]}


def test_large_requests_share_batches_with_small_ones(
    batching_server: ServerProcess, clients: ThreadPoolExecutor
) -> None:
    large = [0.123456] * 20_000
    asked = [clients.submit(ask, batching_server, {"instances": [large] * (CLIENTS - 1)})]
    asked.append(clients.submit(ask, batching_server, {"instances": [[7]]}))
    many, one = (future.result().json()["predictions"] for future in asked)
    assert [row["rows"] for row in (*many, *one)] == [CLIENTS] * CLIENTS
    assert many[-1]["x"] == large
    assert one[0]["x"] == [7] * len(large)


def test_an_invalid_request_is_refused_immediately(batching_server: ServerProcess) -> None:
    answer = batching_server.predict({"instances": [[1]] * (CLIENTS + 1)})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": f"Task size {CLIENTS + 1} is larger than maximum input batch size {CLIENTS}"},
    )
    assert batching_server.predict({"instances": "no"}).status_code == 400


def test_a_full_queue(batching_server: ServerProcess, clients: ThreadPoolExecutor, tmp_path: Path) -> None:
    held = {"inputs": {"started": [f"{tmp_path}/started"] * CLIENTS, "go": [f"{tmp_path}/go"] * CLIENTS}}
    holding = clients.submit(ask, batching_server, {"signature_name": "hold"} | held)
    batching_server.wait_for((tmp_path / "started").exists)
    waiting = [clients.submit(ask, batching_server, {"instances": [[1]]}) for _ in range(CLIENTS + 10)]
    refused = [_wait_for_one(waiting, batching_server) for _ in range(10)]
    (tmp_path / "go").touch()
    assert {answer.status_code for answer in refused} == {503}
    assert refused[0].json() == {
        "error": "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued "
        "and max_enqueued_batches is 1"
    }
    assert {future.result().status_code for future in (holding, *waiting)} == {200}


def _wait_for_one(waiting: list[Future[requests.Response]], server: ServerProcess) -> requests.Response:
    """Waits until one of the futures is done, and removes it from the list."""
    server.wait_for(lambda: any(future.done() for future in waiting))
    done = next(future for future in waiting if future.done())
    waiting.remove(done)
    return done.result()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            lambda file: [f"--batching_parameters_file={file}"],
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true.",
        ),
        (
            lambda file: ["--enable_batching", f"--batching_parameters_file={file}"],
            "INVALID_ARGUMENT: num_batch_threads must be positive; was 0",
        ),
        (
            lambda file: ["--enable_batching", f"--batching_parameters_file={file}-none"],
            "NOT_FOUND: {file}-none; No such file or directory",
        ),
    ],
)
def test_invalid_parameters_fail_the_start(
    models: Path, tmp_path: Path, flags: Callable[[Path], list[str]], message: str
) -> None:
    file = tmp_path / "batching.txt"
    file.write_text("num_batch_threads { value: 0 }")
    with ServerProcess(tmp_path / "log", models / "batch", *flags(file)) as server:
        assert server.wait_for_exit() == 255
        assert f"Failed to start server. Error: {message.format(file=file)}\n" in server.log
