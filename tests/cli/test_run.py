from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from random import randint
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.cli.conftest import Served
from tests.free_ports import free_ports
from tests.program import Copy, Program, assert_error, eventually

LOCAL = ("--engine", "local", "--rest-port", "0", "--grpc-port", "0")


@pytest.fixture
def own_host() -> str:
    """A loopback address of this test's own, on which no other program uses the default ports."""
    return f"127.{randint(1, 254)}.{randint(1, 254)}.{randint(1, 254)}"


def test_json_output(served: Served) -> None:
    document = dict(served.document)
    smoke_test = document.pop("smoke_test")
    pid, created = document["pid"], document["created"]
    url, address = document["rest_url"], document["grpc_address"]
    assert document == {
        "name": "half_plus_two",
        "engine": "local",
        "state": "running",
        "health": "available",
        "image": None,
        "container_id": None,
        "pid": pid,
        "gpu": False,
        "models": [{"name": "half_plus_two", "versions": [{"version": 1, "state": "AVAILABLE"}]}],
        "rest_url": url,
        "grpc_address": address,
        "created": created,
    }
    assert pid in served.tfserve.processes()
    assert url.startswith("http://127.0.0.1:")
    assert address.startswith("127.0.0.1:")
    assert datetime.fromisoformat(created.replace("Z", "+00:00")).tzinfo is not None
    assert set(smoke_test) == {"ok", "latency_ms", "response"}
    assert smoke_test["ok"] is True
    assert smoke_test["latency_ms"] > 0
    assert smoke_test["response"] == {"outputs": [2.0]}


def test_taken_name(served: Served, half_plus_two: Path) -> None:
    done = served.tfserve("run", half_plus_two, *LOCAL)
    assert_error(done, 6, "'half_plus_two' is taken", "--replace", "tfserve rm half_plus_two")
    assert served.tfserve.server_names() == ["half_plus_two"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no/such/model"], 3, "There is no model at 'no/such/model'"),
        (["$(touch pwned)"], 3, "There is no model at"),
        (["a\nb"], 3, r"'a\nb'"),
        (["{model}", "--name", "a b"], 2, "--name a_b"),
        (["{model}", "--name", "$(touch pwned)"], 2, "--name touch_pwned"),
        (["{model}", "--name", ""], 2, "A server name cannot be empty"),
        (["{model}", "--name", "ä\n"], 2, r"'ä\n'"),
        (["{model}", "--name", "m", "--model-name", "a/b"], 2, "--model-name a_b"),
        (["{model}", "--model-name", ""], 2, "A model name cannot be empty"),
        (["{model}", "--rest-port", "http"], 2, "'http' is not a port"),
        (["{model}", "--rest-port", "70000"], 2, "'70000' is not a port"),
        (["{model}", "--rest-port", "none", "--grpc-port", "none"], 2, "No port is published"),
        (["{model}", "--host", "example.com"], 2, "is not an IP address"),
        (["{model}", "--host", "192.0.2.1", "--rest-port", "8501"], 2, "192.0.2.1 is not an address of this machine"),
        (["{model}", "--env", "=x"], 2, "name of a variable"),
        (["{model}", "--memory", "much"], 2, "amount of memory"),
        (["{model}", "--memory", "1g"], 2, "--memory can only be used with containers"),
        (["{model}", "--image", "x", "--tag", "1"], 2, "--image, --tag can only be used with containers"),
        (["{model}", "--gpu"], 9, "serves on the CPU"),
        (["{model}", "--gpus", "0,1"], 9, "serves on the CPU"),
        (["{model}", "--gpus", "both"], 2, "'both' is not a valid selection of GPUs"),
        (["{model}", "--gpus", "1", "--no-gpu"], 2, "--no-gpu cannot be combined with --gpus"),
        (["{model}", "--gpu-memory-fraction", "2"], 2, "not a valid share"),
        (["{model}", "--rm", "--restart", "always"], 2, "cannot be combined"),
        (["{model}", "--replace", "--keep-failed"], 2, "cannot be combined"),
        (["{model}", "--smoke-test", "{"], 2, "JSON"),
        (["{model}", "--", "--enable_bacthing=true"], 2, "Did you mean --enable_batching?"),
        (["{model}", "--", "--port=1"], 2, "Use --grpc-port"),
        (["--", "--enable_batching=true"], 2, "There is no model to serve"),
        (["--image", "me/m:1"], 2, "--image can only be used with containers"),
        (["--image", "me/m:1", "--model-name", "b"], 2, "cannot be used with a model inside an image"),
        (["{model}", "--", "--saved_model_tags=tpu"], 3, "with the tags tpu"),
        (["{model}", "--", "--ssl_config_file=no/such"], 2, "no/such', the file for --ssl_config_file, does not exist"),
    ],
)
def test_bad_input(tfserve: Program, half_plus_two: Path, arguments: list[str], code: int, words: str) -> None:
    given = [argument.replace("{model}", str(half_plus_two)) for argument in arguments]
    assert_error(tfserve("run", "--engine", "local", *given), code, words)
    assert tfserve.server_names() == []


def test_invalid_models(tfserve: Program, copied: Copy, tmp_path: Path) -> None:
    truncated = copied("truncated")
    os.truncate(truncated / "1" / "saved_model.pb", 1000)
    unnumbered = copied("unnumbered")
    (unnumbered / "1").rename(unnumbered / "v1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.keras").touch()
    (tmp_path / "model.h5").touch()
    for name, words in {
        "truncated": "is damaged",
        "unnumbered": "mv ",
        "empty": "is empty",
        "model.keras": "keras.models.load_model",
        "model.h5": "keras.models.load_model",
    }.items():
        assert_error(tfserve("run", tmp_path / name, *LOCAL), 3, words)
    assert tfserve.server_names() == []


def test_unwritable_state_directory(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", Path("/proc/state")):
        done = tfserve("run", half_plus_two, *LOCAL, XDG_STATE_HOME=str(path))
        assert_error(done, 4, str(path), "XDG_STATE_HOME")


def test_docker_is_not_available(tfserve: Program, half_plus_two: Path) -> None:
    done = tfserve("run", half_plus_two, "--engine", "docker")
    assert_error(done, 4, "No Docker Engine answers", "docs.docker.com", "--engine local")


@pytest.mark.parametrize("option", ["--rest-port", "--grpc-port"])
def test_taken_port(tfserve: Program, half_plus_two: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = tfserve("run", half_plus_two, *LOCAL, option, port)
        assert_error(done, 6, f"Port {port} on 127.0.0.1 is taken", f"{option}; 0 takes any free port")
    assert tfserve.server_names() == []


def test_single_api(tfserve: Program, half_plus_two: Path) -> None:
    started = tfserve.json("run", half_plus_two, *LOCAL, "--rest-port", "none")
    assert (started["rest_url"], started["health"]) == (None, "available"), started
    assert started["smoke_test"]["response"] == {"outputs": [2.0]}
    host, _, port = started["grpc_address"].rpartition(":")
    socket.create_connection((host, int(port))).close()
    assert tfserve("rm", "--force", started["name"]).returncode == 0
    started = tfserve.json("run", half_plus_two, *LOCAL, "--grpc-port", "none")
    assert started["grpc_address"] is None
    assert started["health"] == "available"
    assert tfserve("rm", "--force", started["name"]).returncode == 0


def test_taken_default_port(tfserve: Program, half_plus_two: Path, own_host: str) -> None:
    options = ("--engine", "local", "--host", own_host, "--dry-run")
    with ExitStack() as stack:
        with suppress(OSError):  # the port is taken by a program that listens on all addresses
            stack.enter_context(socket.create_server((own_host, 8501)))
        done = tfserve("run", half_plus_two, *options)
        by_number = tfserve("run", half_plus_two, *options, "--rest-port", "8501")
    # The hint names tfserve doctor, which checks the default ports.
    assert_error(by_number, 6, f"Port 8501 on {own_host} is taken", "tfserve doctor")
    assert done.returncode == 0
    assert "Port 8501 is taken; REST uses" in done.stderr
    (flag,) = (word for word in shlex.split(done.stdout) if word.startswith("--rest_api_port="))
    assert flag not in ("--rest_api_port=8501", "--rest_api_port=0")


def test_dry_run_of_a_container_without_docker(tfserve: Program, half_plus_two: Path) -> None:
    options = ("--engine", "docker", "--rest-port", "9001", "--grpc-port", "none", "--env", "A=$(id)", "--dry-run")
    done = tfserve("run", half_plus_two, *options, "--", "--enable_batching")
    assert done.returncode == 0
    words = shlex.split(done.stdout)
    assert words[:3] == ["docker", "run", "--detach"]
    assert words[-2:] == ["tensorflow/serving:latest", "--enable_batching=true"]
    assert "--publish=127.0.0.1:9001:8501" in words
    assert "--env=A=$(id)" in words
    assert f"--mount=type=bind,source={half_plus_two},target=/models/half_plus_two,readonly" in words
    as_json = tfserve("run", half_plus_two, *options, "--json", "--", "--enable_batching")
    assert json.loads(as_json.stdout) == {"command": done.stdout.rstrip("\n")}


def test_dry_run_shows_no_secrets(tfserve: Program) -> None:
    (tfserve.home / ".aws").mkdir()
    (tfserve.home / ".aws" / "credentials").write_text("[default]\naws_access_key_id=A\naws_secret_access_key=s3cret\n")
    done = tfserve("run", "s3://bucket/models/m", "--engine", "docker", "--rest-port", "0", "--dry-run", AWS_REGION="x")
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout)
    assert {"--env=AWS_ACCESS_KEY_ID", "--env=AWS_SECRET_ACCESS_KEY", "--env=AWS_REGION"} < set(words)
    assert words[-2:] == ["tensorflow/serving:latest", "--model_base_path=s3://bucket/models/m"]
    assert "s3cret" not in done.stdout + done.stderr
    assert "The command reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY from the environment" in done.stderr


def test_bucket_requires_docker(tfserve: Program) -> None:
    done = tfserve("run", "gs://bucket/m", "--engine", "local", "--rest-port", "0", "--grpc-port", "0")
    assert_error(done, 2, "gs://bucket/m is in a bucket", "with another --engine")
    assert tfserve.server_names() == []


def test_line_of_a_dry_run_starts_the_server(tfserve: Program, copied: Copy) -> None:
    model = copied("it's a $(touch pwned) ä")
    done = tfserve("run", model, "--name", "m", *LOCAL, "--dry-run")
    assert "without its sandbox" in done.stderr
    assert "sandbox" not in tfserve("run", model, "--unsandboxed", *LOCAL, "--dry-run").stderr
    assert tfserve.server_names() == []
    words = shlex.split(done.stdout)
    port = next(word for word in words if word.startswith("--rest_api_port=")).partition("=")[2]
    links, _, command = done.stdout.rpartition(" && ")
    with subprocess.Popen(["bash", "-c", f"{links} && exec {command}"], stderr=subprocess.DEVNULL) as server:

        def available() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{port}/v1/models/m") as response:
                    return b"AVAILABLE" in response.read()
            except URLError:
                return False

        try:
            eventually(available)
        finally:
            server.terminate()


def test_unloadable_model(tfserve: Program, unloadable: Path) -> None:
    done = tfserve("run", unloadable, *LOCAL)
    assert_error(
        done, 7, "'unloadable' cannot load its model", "Loading servable: {name: unloadable version: 1} failed"
    )
    assert tfserve.server_names() == []
    assert tfserve.processes() == []


def test_keep_failed(tfserve: Program, unloadable: Path) -> None:
    assert_error(tfserve("run", unloadable, *LOCAL, "--keep-failed"), 7)
    status = tfserve.json("status", "unloadable")
    assert (status["state"], status["health"]) == ("running", "failed")
    assert status["models"] == [{"name": "unloadable", "versions": []}]
    assert "failed: " in tfserve("logs").stdout


def test_failed_smoke_test(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"instances": ["not a number"]}')
    done = tfserve("run", half_plus_two, *LOCAL, "--smoke-test", request)
    assert_error(done, 7, "failed its smoke test", "--no-smoke-test")
    assert tfserve.server_names() == []


def test_server_is_not_ready_in_time(tfserve: Program, hanging: Path) -> None:
    done = tfserve("run", hanging, *LOCAL, "--wait", "0.5")
    assert_error(done, 7, "was not ready after 0.5 s", "--wait")
    assert tfserve.server_names() == []
    loading = tfserve.json("run", hanging, *LOCAL, "--wait", "0")
    assert (loading["state"], loading["health"], loading["smoke_test"]) == ("running", "loading", None)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupt_while_waiting(tfserve: Program, hanging: Path, number: signal.Signals, code: int) -> None:
    run = tfserve.start("run", hanging, *LOCAL)
    assert run.stderr is not None
    assert "AVAILABLE" in run.stderr.readline()
    run.send_signal(number)
    stdout, stderr = run.communicate(timeout=20)
    assert (run.returncode, stdout) == (code, "")
    assert stderr == "Interrupted.\n"
    assert tfserve.server_names() == []
    assert tfserve.processes() == []


def test_concurrent_runs_with_the_same_name(tfserve: Program, half_plus_two: Path) -> None:
    runs = [tfserve.start("run", half_plus_two, *LOCAL, "--name", "m", "--json") for _ in range(2)]
    finished = [(run, *run.communicate(timeout=60)) for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 6]
    for run, stdout, stderr in finished:
        if run.returncode == 0:
            assert [json.loads(stdout)["pid"]] == tfserve.processes()
        else:
            assert "'m' is taken" in stderr
    assert tfserve.server_names() == ["m"]


def test_replace(tfserve: Program, copied: Copy, unloadable: Path, hanging: Path) -> None:
    model = copied("model")
    model.chmod(0o700)
    port = str(*free_ports(1))  # the system does not give it to another program while no server has it
    old = tfserve.json("run", model, "--name", "m", *LOCAL, "--rest-port", port, "--rm")
    assert_error(tfserve("run", model / "nothing", "--name", "m", *LOCAL, "--replace"), 3)
    assert tfserve.json("status")["pid"] == old["pid"]  # the old server is unaffected

    failed = tfserve("run", unloadable, "--name", "m", *LOCAL, "--replace")
    assert_error(failed, 7)
    eventually(lambda: tfserve.json("status")["health"] == "available")
    restored = tfserve.json("status")
    assert (restored["created"], restored["rest_url"]) == (old["created"], old["rest_url"])
    assert restored["pid"] != old["pid"]

    run = tfserve.start("run", hanging, "--name", "m", *LOCAL, "--replace")
    assert run.stderr is not None
    assert "AVAILABLE" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=20)
    assert run.returncode == 130
    assert tfserve.json("status")["rest_url"] == old["rest_url"]
    assert tfserve.server_names() == ["m"]

    arguments = ("run", model, "--name", "m", *LOCAL, "--rest-port", port, "--replace")
    new = tfserve.json(*arguments, "--no-smoke-test")
    assert new["created"] >= restored["created"]
    assert new["smoke_test"] is None
    assert tfserve.processes() == [new["pid"]]
    assert tfserve.server_names() == ["m"]


@pytest.mark.parametrize("remove", [False, True])
def test_foreground(tfserve: Program, half_plus_two: Path, remove: bool) -> None:
    run = tfserve.start("run", half_plus_two, *LOCAL, "--foreground", "--json", *(["--rm"] if remove else []))
    assert run.stdout is not None
    assert run.stderr is not None
    for line in run.stderr:
        if "Entering the event loop" in line:
            break
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == 130
    assert json.loads(stdout)["health"] == "available"
    assert "Interrupted." in stderr
    assert tfserve.processes() == []
    assert tfserve.server_names() == ([] if remove else ["half_plus_two"])


def test_foreground_exits_with_its_server(tfserve: Program, half_plus_two: Path) -> None:
    run = tfserve.start("run", half_plus_two, *LOCAL, "--foreground")
    assert run.stderr is not None
    for line in run.stderr:
        if "Entering the event loop" in line:
            break
    assert tfserve("stop").returncode == 0
    run.communicate(timeout=20)
    assert run.returncode == 0
    assert tfserve.json("status")["state"] == "exited"


def test_concurrent_runs_on_the_default_ports(tfserve: Program, half_plus_two: Path, own_host: str) -> None:
    """Both may find the ports free. The slower server moves to other ports, and is not mistaken for the faster one."""
    options = ("--engine", "local", "--host", own_host, "--json")
    runs = [tfserve.start("run", half_plus_two, "--name", name, *options) for name in ("one", "two")]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    servers = [json.loads(stdout) for stdout, _ in outputs]
    assert len({server["rest_url"] for server in servers}) == 2
    assert len({server["pid"] for server in servers}) == 2
    assert tfserve("rm", "--force", "one", "two").returncode == 0


def test_file_named_by_a_flag(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("prometheus_config { enable: true }")
    flag = f"--monitoring_config_file={os.path.relpath(tmp_path / 'a b.txt')}"
    done = tfserve("run", half_plus_two, *LOCAL, "--json", "--", flag)
    with urlopen(f"{json.loads(done.stdout)['rest_url']}/monitoring/prometheus/metrics", timeout=10) as page:
        assert b"# TYPE" in page.read()


def test_a_saved_test_request_is_found_from_the_file(
    tfserve: Program, half_plus_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "request.json").write_text('{"instances": [1.0]}')
    (tmp_path / "below").mkdir()
    options = ("--engine", "local", "--smoke-test", "request.json", "--save", "below/saved.yaml", "--dry-run")
    assert tfserve("run", half_plus_two, *options).returncode == 0
    assert tfserve("config", "-f", "below/saved.yaml").returncode == 0
    assert_error(
        tfserve("run", half_plus_two, "--smoke-test", "none.json", "--dry-run"), 2, "cannot be read: No such file"
    )
    assert_error(tfserve("run", half_plus_two, "--save", ""), 2, "'.' is a directory")
