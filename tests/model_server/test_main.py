from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.program import eventually
from tfserve import __version__
from tfserve.host.ports import any_free_port

from .server_process import PATIENCE, ServerProcess

START = (
    "Building single TensorFlow model file config:  model_name: half_plus_two model_base_path: ",
    "Adding/updating models.",
    "(Re-)adding model: half_plus_two",
    "Loading servable version {name: half_plus_two version: 1}",
    "SavedModel load for tags { serve }; Status: success: OK. Took ",
    "Exporting HTTP/REST API at:localhost:",
    "NET_LOG: Entering the event loop ...",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tfserve.model_server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def copy_version(models: Path, base_path: Path, version: int) -> None:
    made = base_path.parent / "made"
    shutil.copytree(models / "constant" / str(version), made)
    made.rename(base_path / str(version))


def hold(directory: Path) -> tuple[dict[str, Any], Path, Path]:
    """Returns a request to the model ``zoo``, the file that its run makes, and the file that ends the run."""
    started, go = directory / "started", directory / "go"
    return {"signature_name": "hold", "inputs": {"started": str(started), "go": str(go)}}, started, go


def test_the_start_is_logged_in_the_words_of_the_official_server(server: ServerProcess) -> None:
    position = 0
    for line in START:
        position = server.log.index(line, position)
    assert "gRPC" not in server.log


def test_a_flag_without_effect_is_logged_once(half_plus_two: Path, tmp_path: Path) -> None:
    flags = ("--skip_initialize_tpu=true", "--no_such_flag=1")
    with ServerProcess(tmp_path / "log", half_plus_two, *flags) as process:
        process.wait_until_ready()
        log = process.log
    assert log.count("--skip_initialize_tpu has no effect in this server") == 1
    assert "unknown argument: --no_such_flag=1\nusage: " in log
    assert "Running gRPC ModelServer" not in log


def test_version() -> None:
    ran = run("--version")
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"TensorFlow ModelServer: tfserve {__version__}\nTensorFlow Library: 2.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--help"], "usage: "),
        (["--rest_api_port=x"], "Couldn't interpret value x for flag rest_api_port."),
        (["--rest_api_port=1"], "Failed to start server. Error: INVALID_ARGUMENT: Both server_options.model_base_path"),
        (["--model_base_path=/m", "--port=0"], "INVALID_ARGUMENT: At least one of server_options.grpc_port or"),
        (["--model_base_path=/m", "--rest_api_port=8500"], "http_port cannot be same as grpc_port"),
        (["--model_base_path=/m", "--port=65536"], "--port=65536 is not a port"),
        (
            ["--model_base_path=/m", "--grpc_max_message_bytes=-5"],
            "--grpc_max_message_bytes=-5 is not a number of bytes",
        ),
    ],
)
def test_invalid_command_lines(arguments: list[str], message: str) -> None:
    ran = run(*arguments)
    assert ran.returncode == 255
    assert message in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_ports_stay_closed_until_a_version_appears(models: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    with ServerProcess(tmp_path / "log", base_path) as process:
        process.wait_for_log(f"Could not find base path {base_path} for servable m with error NOT_FOUND")
        base_path.mkdir()
        process.wait_for_log(f"No versions of servable m found under base path {base_path}. Did you forget to name")
        assert not process.answers()
        copy_version(models, base_path, 1)
        process.wait_until_ready()
        assert process.predict({"instances": [0]}).json() == {"predictions": [1.0]}


def test_a_signal_ends_the_wait_for_a_version(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "log", tmp_path) as process:
        process.wait_for_log("No versions of servable m found")
        process.signal(signal.SIGTERM)
        assert process.wait_for_exit() == 0


def test_a_server_whose_standard_descriptors_are_closed_exits_normally(half_plus_two: Path) -> None:
    port = any_free_port("127.0.0.1")
    flags = f"--port=0 --rest_api_port={port} --bind_address=127.0.0.1 --model_name=m --model_base_path="
    line = f"exec {shlex.quote(sys.executable)} -m tfserve.model_server {flags}{shlex.quote(str(half_plus_two))}"
    process = subprocess.Popen(["sh", "-c", f"{line} <&- >&- 2>&-"])

    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"http://127.0.0.1:{port}/v1/models/m", timeout=PATIENCE).ok
        return False

    try:
        eventually(answers, PATIENCE)
        assert [Path(f"/proc/{process.pid}/fd/{number}").readlink() for number in range(3)] == [Path(os.devnull)] * 3
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()


def test_a_broken_model_is_retried_until_the_start_fails(half_plus_two: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    shutil.copytree(half_plus_two, base_path)
    graph = base_path / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:2000])
    flags = ("--max_num_load_retries=2", "--load_retry_interval_micros=100000")
    with ServerProcess(tmp_path / "log", base_path, *flags) as process:
        assert process.wait_for_exit() == 255
        log = process.log
    assert "SavedModel load for tags { serve }; Status: fail: " in log
    assert len(re.findall(r"^E.*\] Loading servable: \{name: m version: 1\} failed: [A-Z_]+: ", log, re.M)) == 3
    assert "Retrying of Loading servable: {name: m version: 1} retry: 2" in log
    assert "Servable {name: m version: 1} cannot be loaded: " in log
    assert re.search(r"^Failed to start server. Error: UNKNOWN: 1 servable\(s\) did not become available: ", log, re.M)
    assert "Traceback" not in log


def test_a_port_in_use_fails_the_start(half_plus_two: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        flags = (f"--rest_api_port={other.getsockname()[1]}",)
        with ServerProcess(tmp_path / "log", half_plus_two, *flags) as process:
            assert process.wait_for_exit() == 255
            assert "Failed to start HTTP Server at localhost:" in process.log
            assert "Failed to start server. Error: UNAVAILABLE: Couldn't bind address 127.0.0.1 to port" in process.log
            assert "Warning" not in process.log


def test_no_request_fails_while_versions_change(models: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    base_path.mkdir()
    copy_version(models, base_path, 1)
    answers: list[tuple[int, float]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = process.predict({"instances": [0]})
            answers.append((answer.status_code, answer.json()["predictions"][0]))

    with ServerProcess(tmp_path / "log", base_path) as process:
        process.wait_until_ready()
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            process.wait_for(lambda: bool(answers))
            copy_version(models, base_path, 2)
            process.wait_for_log("Done unloading servable version {name: m version: 1}")
            asked = len(answers)
            process.wait_for(lambda: len(answers) > asked + 1 or not thread.is_alive())
        finally:
            done.set()
            thread.join()
        states = [(version["version"], version["state"]) for version in process.get().json()["model_version_status"]]
    assert states == [("2", "AVAILABLE"), ("1", "END")]
    assert {status for status, _ in answers} == {200}
    assert [value for _, value in answers] == sorted(value for _, value in answers)
    assert {value for _, value in answers} == {1.0, 2.0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_finish(models: Path, tmp_path: Path, number: signal.Signals) -> None:
    with ServerProcess(tmp_path / "log", models / "zoo") as process:
        process.wait_until_ready()
        body, started, go = hold(tmp_path)
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(process.predict, body)
            process.wait_for(started.exists)
            process.signal(number)
            process.wait_for(lambda: not process.answers())
            assert process.process.poll() is None
            go.touch()
            assert answer.result(PATIENCE).status_code == 200
        assert process.wait_for_exit() == 0
    assert "Traceback" not in process.log


def test_a_second_signal_ends_it_immediately(models: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "log", models / "zoo") as process:
        process.wait_until_ready()
        document, started, _ = hold(tmp_path)
        body = json.dumps(document).encode()
        head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        with socket.create_connection(("127.0.0.1", process.port)) as client:
            client.sendall(head + body)
            process.wait_for(started.exists)
            process.signal(signal.SIGTERM)
            process.wait_for_log("Received SIGTERM")
            assert process.process.poll() is None
            process.signal(signal.SIGTERM)
            assert process.wait_for_exit() == 128 + signal.SIGTERM


def test_importing_the_server_starts_no_thread() -> None:
    """It forks a process before it starts its own threads, and a fork keeps only the thread that forks."""
    program = "import os, tfserve.model_server.main; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
