from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.model_server.server_process import ServerProcess
from tfserve.model_server.runtime import tflite
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.saved_model_pb2 import DataType

needs_litert = pytest.mark.skipif(not tflite.is_installed(), reason="LiteRT is not available for this machine")

X, WORDS = "serving_default_x", "serving_default_words"


def load(directory: Path, interpreters: int = 2) -> Servable:
    return load_servable("lite", 1, directory, LoadOptions(tflite_interpreters=interpreters))


def inputs(rows: int) -> dict[str, Any]:
    words: Any = np.empty(rows, np.object_)
    words[:] = [b"w" * row for row in range(rows)]
    return {X: np.arange(2 * rows, dtype=np.float32).reshape(rows, 2), WORDS: words}


def error_of(directory: Path) -> StatusError:
    with pytest.raises(StatusError) as caught:
        load(directory)
    return caught.value


@needs_litert
def test_the_signature_has_the_names_of_the_tensors(models: Path) -> None:
    servable = load(models / "lite" / "1")
    assert servable.inputs("") == {WORDS: DataType.DT_STRING, X: DataType.DT_FLOAT}
    signature = servable.signature("serving_default")
    assert signature.outputs == ("PartitionedCall:0", "PartitionedCall:1")
    assert signature.definition.method_name == "tensorflow/serving/predict"
    assert [dim.size for dim in signature.definition.inputs[X].tensor_shape.dim] == [1, 2]


@needs_litert
def test_an_input_at_any_address(models: Path) -> None:
    """Such as the values of a large tensor, which stay in the message in which they were received."""
    sent = inputs(3)
    message = b"123" + sent[X].tobytes()
    x = np.frombuffer(memoryview(message)[3:], np.float32).reshape(3, 2)
    assert not x.flags.aligned
    outputs = load(models / "lite" / "1").run("", sent | {X: x})
    np.testing.assert_array_equal(outputs["PartitionedCall:0"], 2 * sent[X])


@needs_litert
def test_inputs_of_any_size_from_many_threads(models: Path) -> None:
    servable = load(models / "lite" / "1")
    with ThreadPoolExecutor(8) as pool:
        submitted = [(rows, pool.submit(servable.run, "", inputs(rows))) for rows in (1, 3, 3, 1, 70, 2) * 5]
    for rows, future in submitted:
        outputs = future.result()
        np.testing.assert_array_equal(outputs["PartitionedCall:0"], 2 * inputs(rows)[X])
        assert outputs["PartitionedCall:1"].tolist() == [[b"w" * row] for row in range(rows)]


@needs_litert
def test_an_interpreter_works_after_a_failed_run(models: Path) -> None:
    servable = load(models / "lite" / "1", interpreters=1)
    with pytest.raises(StatusError) as failed:
        servable.run("", inputs(2) | {X: np.zeros((2, 2, 2, 2, 2, 2, 2), np.float64)})
    assert failed.value.code == Code.INTERNAL
    assert servable.run("", inputs(1), ("PartitionedCall:0",))["PartitionedCall:0"].tolist() == [[0, 2]]


@needs_litert
def test_a_broken_model(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"not a model")
    assert str(error_of(tmp_path)) == "INVALID_ARGUMENT: Cannot build FlatBufferModel from buffer."


def test_without_litert_the_saved_model_is_served(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for package in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(sys.modules, f"{package}.interpreter", raising=False)
    servable = load(models / "lite" / "1")
    assert servable.run("", {"x": np.ones((1, 2), np.float32)})["y"].tolist() == [[3, 3]]
    servable.close()
    assert "needs LiteRT, which is not installed" in capfd.readouterr().err

    shutil.copy(models / "lite" / "1" / "model.tflite", tmp_path)
    assert error_of(tmp_path).code == Code.FAILED_PRECONDITION


def test_the_file_is_ignored_by_default(models: Path) -> None:
    servable = load(models / "lite" / "1", interpreters=0)
    assert list(servable.inputs("")) == ["x"]
    servable.close()


@needs_litert
def test_on_a_server(models: Path, tmp_path: Path) -> None:
    flags = ("--prefer_tflite_model", "--num_tflite_pools=3", "--enable_batching")
    with ServerProcess(tmp_path / "log", models / "lite", *flags) as server:
        server.wait_until_ready()
        answer = server.predict({"instances": [{X: [1, 2], WORDS: "a"}, {X: [3, 4], WORDS: "b"}]})
        assert answer.json() == {
            "predictions": [
                {"PartitionedCall:0": [2, 4], "PartitionedCall:1": ["a"]},
                {"PartitionedCall:0": [6, 8], "PartitionedCall:1": ["b"]},
            ]
        }
        assert server.get("/metadata").status_code == 200
