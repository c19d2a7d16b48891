from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.program import Program, assert_error
from tfserve.cli.commands.demo import bundled_model
from tfserve.errors import SavedModelError
from tfserve.models.saved_model import find_model, read_signatures


def test_demo(tfserve: Program) -> None:
    done = tfserve("demo")
    assert done.returncode == 0, done.stderr
    assert "[2.5, 3.0, 4.5]" in done.stdout.splitlines()[3]
    for command in ("tfserve run", "tfserve predict", "tfserve logs"):
        assert command in done.stdout
    assert "Serving with the local engine instead." in done.stderr
    assert tfserve.server_names() == []
    assert tfserve.processes() == []


def test_json_output(tfserve: Program) -> None:
    done = tfserve("demo", "--engine", "local", "--json")
    assert json.loads(done.stdout) == {
        "engine": "local",
        "instances": [1.0, 2.0, 5.0],
        "predictions": [2.5, 3.0, 4.5],
    }


def test_interrupt(tfserve: Program) -> None:
    demo = tfserve.start("demo", "--engine", "local")
    assert demo.stderr is not None
    for line in demo.stderr:
        if "AVAILABLE" in line:
            break
    demo.send_signal(signal.SIGINT)
    stdout, _ = demo.communicate(timeout=20)
    assert (demo.returncode, stdout) == (130, "")
    assert tfserve.server_names() == []
    assert tfserve.processes() == []


@pytest.mark.parametrize("command", ["demo", "run"])
def test_gpu_contradicts_no_gpu(command: str, tfserve: Program) -> None:
    done = tfserve(command, "--gpu", "--no-gpu")
    assert done.returncode == 2
    assert "Error: --gpu cannot be combined with --no-gpu." in done.stderr


def test_docker_is_not_available(tfserve: Program) -> None:
    assert_error(tfserve("demo", "--engine", "docker"), 4, "No Docker Engine answers")


def test_half_plus_two_is_bundled(half_plus_two: Path) -> None:
    assert bundled_model("half_plus_two") == half_plus_two
    assert "serving_default" in read_signatures(find_model(half_plus_two).newest)


def test_half_plus_two_gpu_is_bundled(half_plus_two: Path) -> None:
    model = find_model(bundled_model("half_plus_two_gpu")).newest
    assert read_signatures(model) == read_signatures(find_model(half_plus_two).newest)
    assert b"/device:GPU:0" in (model.path / "saved_model.pb").read_bytes()


def test_unknown_model_is_not_bundled() -> None:
    with pytest.raises(SavedModelError, match="The example model 'resnet' is missing") as caught:
        bundled_model("resnet")
    assert caught.value.hint
