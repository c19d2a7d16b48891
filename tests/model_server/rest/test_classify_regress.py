from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_server.server_process import ServerProcess


@pytest.fixture(scope="module")
def examples_server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[ServerProcess]:
    """A server with the model ``examples``."""
    log = tmp_path_factory.mktemp("examples_server") / "log"
    with ServerProcess(log, models / "examples", name="examples") as process:
        yield process.wait_until_ready()


EXAMPLES = [{"x": 0.1, "word": "a\"'", "count": 3}, {"x": [-1e20]}]


def test_classify(examples_server: ServerProcess) -> None:
    answer = examples_server.predict({"examples": EXAMPLES}, ":classify")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    pairs = '[["a\\"\'", 0.1], ["3", 3.0]], [["none", -1e+20], ["0", 0.0]]'
    assert answer.text == '{\n    "results": [' + pairs + "\n    ]\n}"


@pytest.mark.parametrize(
    ("signature", "results"),
    [
        ("only_scores", [[["", 0.5], ["", 3.0]]]),
        ("only_classes", [[["none", 0.0], ["3", 0.0]]]),
        ("other_method", [[["none", 0.5], ["3", 3.0]]]),
    ],
)
def test_classify_with_the_outputs_that_the_signature_has(
    examples_server: ServerProcess, signature: str, results: Any
) -> None:
    body = {"signature_name": signature, "context": {"count": 3}, "examples": [{"x": 0.5}]}
    answer = examples_server.predict(body, "/versions/1:classify")
    assert answer.json() == {"results": results}


def test_scores_and_labels_that_json_cannot_represent(examples_server: ServerProcess) -> None:
    body = b'{"examples": [{"x": NaN, "word": {"b64": "/w=="}}, {"x": -Infinity}]}'
    answer = examples_server.predict(body, ":classify")
    assert '[["\ufffd", NaN], ["0", 0.0]], [["none", -Infinity], ["0", 0.0]]' in answer.text


@pytest.mark.parametrize("signature", ["regress", "regress_column"])
def test_regress(examples_server: ServerProcess, signature: str) -> None:
    answer = examples_server.predict({"signature_name": signature, "examples": EXAMPLES}, ":regress")
    assert answer.text == '{\n    "results": [0.2, -2e+20]\n}'


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("classify", b"{", "JSON Parse error: "),
        ("classify", {"instances": [1]}, "key 'examples' is expected and was not found"),
        ("classify", {"examples": [{"x": 1.5}], "signature_name": "no"}, "No signature was found with the name: no"),
        ("regress", {"examples": [{"x": 1.5}]}, "Expected one output Tensor."),
        ("classify", {"examples": [{"y": 1.5}]}, "Feature: x (data type: float) is required but could not be found."),
        ("classify", {"examples": [{"x": 1}]}, "Data types don't match."),
    ],
)
def test_errors(examples_server: ServerProcess, method: str, body: Any, message: str) -> None:
    answer = examples_server.predict(body, f":{method}")
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_many_examples(examples_server: ServerProcess) -> None:
    examples = [{"x": float(number), "word": "w" * 50} for number in range(3_000)]
    answer = examples_server.predict({"examples": examples}, ":classify").json()
    assert answer["results"] == [[["w" * 50, float(number)], ["0", 0.0]] for number in range(3_000)]


def test_half_plus_two_as_in_the_guide(server: ServerProcess) -> None:
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}, {"x": 4.0}]}
    assert server.predict(body, ":regress").json() == {"results": [3.0, 4.0]}
    body["signature_name"] = "classify_x_to_y"
    assert server.predict(body, ":classify").json() == {"results": [[["", 3.0]], [["", 4.0]]]}


def test_methods_are_checked_if_enabled(models: Path, tmp_path: Path) -> None:
    flag = "--enable_signature_method_name_check"
    with ServerProcess(tmp_path / "log", models / "examples", flag, name="examples") as server:
        server.wait_until_ready()
        body: dict[str, Any] = {"examples": [{"x": 0.5}]}
        assert server.predict(body, ":classify").status_code == 200
        body["signature_name"] = "other_method"
        assert server.predict(body, ":classify").json() == {
            "error": "Expected classification signature method_name to be tensorflow/serving/classify. Was: other"
        }
