"""The official Python client, as it comes from the package index, against our server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kept import kept, tensorflow_version

from .conftest import GrpcProcess

SIGNATURES = ["classify_x_to_y", "regress_x2_to_y3", "regress_x_to_y", "regress_x_to_y2", "serving_default"]


@pytest.fixture(scope="session")
def serving_api() -> Path:
    """A directory with ``tensorflow-serving-api`` alone, of the release of the TensorFlow that is installed.

    It is made once on a machine, apart from the environment of the tests: nothing of tfserve may come to need it. What
    the package depends on (grpcio, protobuf and TensorFlow, for its own messages) it takes from that environment.
    """
    release = ".".join(tensorflow_version().split(".")[:2])
    package = f"tensorflow-serving-api=={release}.*"

    def install(directory: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(directory), package]
        subprocess.run(command, check=True, timeout=120)

    return kept(package, install)


@pytest.fixture(scope="module")
def answers(
    serving_api: Path, half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What the client got from each method."""
    log = tmp_path_factory.mktemp("serving_api") / "log"
    script = Path(__file__).parent / "serving_api_client.py"
    environment = os.environ | {"PYTHONPATH": str(serving_api), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with GrpcProcess(log, half_plus_two, name="half_plus_two") as process:
        process.wait_until_ready()
        command = [sys.executable, str(script), f"127.0.0.1:{process.grpc_port}", str(half_plus_two)]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert ran.returncode == 0, ran.stderr
        yield json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("Predict", [2.5, 3.0, 4.5]),
        ("Classify", [3.0]),
        ("Regress", [3.0]),
        ("MultiInference", ["regression_result", "classification_result"]),
        ("GetModelMetadata", SIGNATURES),
        ("GetModelStatus", [[1, "AVAILABLE"]]),
        ("HandleReloadConfigRequest", 0),
    ],
)
def test_each_method(answers: dict[str, Any], method: str, answer: object) -> None:
    assert answers[method] == answer
