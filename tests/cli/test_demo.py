from __future__ import annotations

import json
import signal

import pytest

from tests.program import Program, assert_told


def test_demo(tfserve: Program) -> None:
    done = tfserve("demo")
    assert done.returncode == 0, done.stderr
    assert "[2.5, 3.0, 4.5]" in done.stdout.splitlines()[3]
    for command in ("tfserve run", "tfserve predict", "tfserve logs"):
        assert command in done.stdout
    assert "Serving with the local engine instead." in done.stderr
    assert tfserve.left() == []
    assert tfserve.processes() == []


def test_json(tfserve: Program) -> None:
    done = tfserve("demo", "--engine", "local", "--json")
    assert json.loads(done.stdout) == {
        "engine": "local",
        "instances": [1.0, 2.0, 5.0],
        "predictions": [2.5, 3.0, 4.5],
    }


def test_interrupted(tfserve: Program) -> None:
    demo = tfserve.begin("demo", "--engine", "local")
    assert demo.stderr is not None
    for line in demo.stderr:
        if "AVAILABLE" in line:
            break
    demo.send_signal(signal.SIGINT)
    stdout, _ = demo.communicate(timeout=20)
    assert (demo.returncode, stdout) == (130, "")
    assert tfserve.left() == []
    assert tfserve.processes() == []


@pytest.mark.parametrize("command", ["demo", "run"])
def test_with_a_gpu_and_without(command: str, tfserve: Program) -> None:
    done = tfserve(command, "--gpu", "--no-gpu")
    assert done.returncode == 2
    assert "Error: --gpu and --no-gpu contradict each other." in done.stderr


def test_docker_that_is_not_there(tfserve: Program) -> None:
    assert_told(tfserve("demo", "--engine", "docker"), 4, "No Docker Engine answers")
