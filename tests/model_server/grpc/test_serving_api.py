"""The official Python client, as installed from the package index, with this server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cached import tensorflow_version, virtual_environment

from .conftest import GrpcProcess

SIGNATURES = ["classify_x_to_y", "regress_x2_to_y3", "regress_x_to_y", "regress_x_to_y2", "serving_default"]


@pytest.fixture(scope="session")
def serving_api() -> Path:
    """The Python of an environment with ``tensorflow-serving-api`` of the installed TensorFlow's release.

    The client has a grpcio and a protobuf of its own. It needs TensorFlow as well, for its messages and arrays.
    """
    release = ".".join(tensorflow_version().split(".")[:2])
    without_tensorflow = ("--no-deps", f"tensorflow-serving-api=={release}.*")
    return virtual_environment(without_tensorflow, ("grpcio", "protobuf")) / "bin" / "python"


@pytest.fixture(scope="module")
def answers(
    serving_api: Path, half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """The response of each method, as the client received it."""
    log = tmp_path_factory.mktemp("serving_api") / "log"
    script = Path(__file__).parent / "serving_api_client.py"
    variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    with GrpcProcess(log, half_plus_two, name="half_plus_two") as process:
        process.wait_until_ready()
        command = [str(serving_api), str(script), f"127.0.0.1:{process.grpc_port}", str(half_plus_two)]
        ran = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=300)
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
