from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from .models.versions import add, stuck
from .server_process import PATIENCE, ServerProcess


def entry(name: str, base_path: Path, more: str = "") -> str:
    return f'  config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }}\n'


def write(path: Path, *entries: str) -> Path:
    made = path.with_suffix(".new")
    made.write_text("model_config_list {\n" + "".join(entries) + "}\n")
    return made.rename(path)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[ServerProcess]:
    """A server with both versions of ``constant``, under labels, ``lookup`` with an asset, and ``tf1``."""
    directory = tmp_path_factory.mktemp("several")
    labels = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    config_file = write(
        directory / "models.config",
        entry("constant", models / "constant", f"model_version_policy {{ all {{}} }} {labels} logging_config {{}}"),
        entry("lookup", models / "lookup", "logging_config {}"),
        entry("tf1", models / "tf1"),
    )
    flag = "--allow_version_labels_for_unavailable_models=true"
    with ServerProcess(directory / "log", None, flag, name="constant", config_file=config_file) as process:
        process.wait_until_ready()
        process.wait_for(lambda: "AVAILABLE" in process.get("/versions/1").text)
        yield process


def ask(process: ServerProcess, path: str, body: object) -> Any:
    """Returns the answer of the model at a path below ``/v1/models/``."""
    return process.session.post(f"{process.url.rpartition('/')[0]}/{path}", json=body, timeout=PATIENCE).json()


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("constant:predict", {"instances": [0]}, [2.0]),
        ("constant/versions/1:predict", {"instances": [0]}, [1.0]),
        ("constant/labels/stable:predict", {"instances": [0]}, [1.0]),
        ("constant/labels/canary:predict", {"instances": [0]}, [2.0]),
        ("lookup:predict", {"instances": ["two", "none", "null"]}, [2, -1, 0]),
        ("tf1:predict", {"instances": [1.0]}, [11.0]),
        ("tf1:predict", {"instances": ["one", "none"], "signature_name": "find"}, [1, -1]),
    ],
)
def test_each_model_answers(several: ServerProcess, path: str, body: object, answer: list[float]) -> None:
    assert ask(several, path, body) == {"predictions": answer}


def test_unknown_labels_and_versions(several: ServerProcess) -> None:
    answer = several.predict({"instances": [0]}, "/labels/old:predict")
    assert (answer.status_code, answer.json()) == (400, {"error": "Unrecognized servable version label: old"})
    answer = several.predict({"instances": [0]}, "/versions/3:predict")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "Servable not found for request: Specific(constant, 3)"},
    )


def test_status_and_metadata_by_label(several: ServerProcess) -> None:
    both = several.get().json()["model_version_status"]
    assert [(status["version"], status["state"]) for status in both] == [("2", "AVAILABLE"), ("1", "AVAILABLE")]
    assert several.get("/versions/1").json()["model_version_status"] == both[1:]
    assert several.get("/labels/stable").json()["model_version_status"] == both  # the official server ignores it, too
    assert several.get("/labels/stable/metadata").json()["model_spec"]["version"] == "1"
    assert several.get("/labels/canary/metadata").json()["model_spec"]["version"] == "2"
    assert several.get("/labels/old/metadata").status_code == 400


def test_the_start_of_each_model_is_logged(several: ServerProcess) -> None:
    log = several.log
    assert "Building single TensorFlow model" not in log
    position = log.index("] Adding/updating models.")
    for line in (
        *(f"]  (Re-)adding model: {name}" for name in ("constant", "lookup", "tf1")),
        "] Successfully reserved resources to load servable {name: ",
        "] Approving load for servable version {name: ",
        "] Loading servable version {name: ",
        "] Successfully loaded servable version {name: ",
        "] Finished adding/updating models",
        "] Exporting HTTP/REST API at:",
    ):
        position = log.index(line, position)
    assert log.count("logging_config has no effect in this server") == 1


def test_tags_choose_the_graph(models: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "log", models / "tf1", "--saved_model_tags=serve,twice") as process:
        process.wait_until_ready()
        assert process.predict({"instances": [1.0]}).json() == {"predictions": [12.0]}


def test_the_file_is_polled_under_load(models: Path, tmp_path: Path) -> None:
    """Versions and models change while several clients send requests, and no request fails."""
    add(models, tmp_path / "n", 2)
    for version in (1, 2):
        add(models, tmp_path / "m", version)
    policy = "model_version_policy { specific { versions: %d } }"
    config_file = write(tmp_path / "models.config", entry("m", tmp_path / "m", policy % 1))
    flag = "--model_config_file_poll_wait_seconds=1"
    answers: list[tuple[int, str]] = []
    done = threading.Event()

    def send_requests() -> None:
        with requests.Session() as session:
            while not done.is_set():
                answer = session.post(process.url + ":predict", json={"instances": [0]}, timeout=PATIENCE)
                answers.append((answer.status_code, answer.text))

    with ServerProcess(tmp_path / "log", None, flag, config_file=config_file) as process:
        process.wait_until_ready()
        clients = [threading.Thread(target=send_requests) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            process.wait_for(lambda: bool(answers))
            write(config_file, entry("m", tmp_path / "m", policy % 2), entry("n", tmp_path / "n"))
            process.wait_for_log("Done unloading servable version {name: m version: 1}")
            process.wait_for(lambda: ask(process, "n:predict", {"instances": [0]}) == {"predictions": [2.0]})
            count = len(answers)
            process.wait_for(lambda: len(answers) > count + len(clients))
        finally:
            done.set()
            for client in clients:
                client.join()
        assert process.predict({"instances": [0]}).json() == {"predictions": [2.0]}
    assert {status for status, _ in answers} == {200}
    assert len({text for _, text in answers}) == 2


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        (
            "model_config_list {\n  config { nam: 'm' }\n}",
            "Error parsing text-format tensorflow.serving.ModelServerConfig: 2:12",
        ),
        (
            "model_config_list {\n  config { nam: 'm' }\n}",
            "Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file: '",
        ),
        (
            'model_config_list { config { name: "m" } }',
            "Failed to start server. Error: INVALID_ARGUMENT: Expected model m to have",
        ),
        (
            "custom_model_config {}",
            "Failed to start server. Error: UNIMPLEMENTED: ModelServer does not yet support custom",
        ),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
            'version_labels { key: "a" value: 1 } } }',
            "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version 1 of model m",
        ),
    ],
)
def test_a_refused_configuration_fails_the_start(tmp_path: Path, text: str, logged: str) -> None:
    config_file = tmp_path / "models.config"
    config_file.write_text(text)
    with ServerProcess(tmp_path / "log", None, config_file=config_file) as process:
        assert process.wait_for_exit() == 255
        assert logged in process.log
        assert "Traceback" not in process.log


def test_a_second_model_that_fails_fails_the_start(models: Path, tmp_path: Path) -> None:
    add(models, tmp_path / "m", 1)
    add(models, tmp_path / "bad", 1, broken=True)
    config_file = write(tmp_path / "models.config", entry("m", tmp_path / "m"), entry("bad", tmp_path / "bad"))
    flag = "--max_num_load_retries=0"
    with ServerProcess(tmp_path / "log", None, flag, config_file=config_file) as process:
        assert process.wait_for_exit() == 255
        assert "Successfully loaded servable version {name: m version: 1}" in process.log
        assert "UNKNOWN: 1 servable(s) did not become available: {{{name: bad version: 1} due to error: " in process.log


def test_no_models_at_all(tmp_path: Path) -> None:
    config_file = write(tmp_path / "models.config")
    with ServerProcess(tmp_path / "log", None, config_file=config_file) as process:
        process.wait_until_ready()
        assert process.get().status_code == 404


def test_a_signal_ends_a_start_that_is_loading(tmp_path: Path) -> None:
    with stuck(tmp_path / "m", 1), ServerProcess(tmp_path / "log", tmp_path / "m") as process:
        process.wait_for_log("Loading servable version {name: m version: 1}")
        process.signal(signal.SIGTERM)
        assert process.wait_for_exit() == 0
        assert "Traceback" not in process.log
