from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format

from tfserve.model_server.runtime.batching import Batching
from tfserve.model_server.runtime.batching_options import (
    QueueOptions,
    ThreadOptions,
    queue_options,
    read_parameters,
    thread_options,
)
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.server_config_pb2 import BatchingParameters


def parse(text: str) -> BatchingParameters:
    return text_format.Parse(text, BatchingParameters())


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    assert queue_options(read_parameters(None)) == QueueOptions(1000, 0.0, 10, 1000, False, (), False)
    assert thread_options(read_parameters(None)) == ThreadOptions(5, "model_server_batch_threads")
    assert thread_options(parse("")) == ThreadOptions(5, "batch_threads")


def test_every_parameter() -> None:
    parameters = parse(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 1500 } max_enqueued_batches { value: 7 }"
        "num_batch_threads { value: 3 } thread_pool_name { value: 'p' } allowed_batch_sizes: [8, 32]"
        "pad_variable_length_inputs: true enable_large_batch_splitting { value: true }"
        "max_execution_batch_size { value: 16 }"
    )
    assert queue_options(parameters) == QueueOptions(32, 0.0015, 7, 16, True, (8, 32), True)
    assert thread_options(parameters) == ThreadOptions(3, "p")


def test_values_that_the_official_server_converts() -> None:
    assert queue_options(parse("max_enqueued_batches { value: 0 }")).max_enqueued_batches == 1
    assert queue_options(parse("max_enqueued_batches { value: -1 }")).max_enqueued_batches == (1 << 64) - 1
    assert queue_options(parse("max_execution_batch_size { value: 5 }")).max_execution_batch_size == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        (
            "allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 1000",
        ),
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "enable_large_batch_splitting { value: true } max_enqueued_batches { value: 0 }",
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 0 }",
            "max_execution_batch_size must be positive; was 0",
        ),
        (
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 1001 }",
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
            "max_execution_batch_size; were 1000 and 1001",
        ),
    ],
)
def test_parameters_that_contradict_each_other(text: str, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        queue_options(parse(text))
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


def test_no_threads() -> None:
    with pytest.raises(StatusError, match="INVALID_ARGUMENT: num_batch_threads must be positive; was 0"):
        thread_options(parse("num_batch_threads { value: 0 }"))


@pytest.mark.parametrize("text", ["max_batch_size: 3", "no_such_field: 1", "max_batch_size { value: 1", "\xff"])
def test_a_broken_file(tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "parameters"
    file.write_text(f"\n {text}", encoding="latin-1")
    with pytest.raises(StatusError) as caught:
        read_parameters(file)
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{file}'"
    log = capfd.readouterr().err
    assert "Error parsing text-format tensorflow.serving.BatchingParameters: " in log
    assert "2:" in log or text == "\xff"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StatusError) as caught:
        read_parameters(tmp_path / "none")
    assert str(caught.value) == f"NOT_FOUND: {tmp_path}/none; No such file or directory"


def test_models_with_parameters_of_their_own(models: Path, tmp_path: Path) -> None:
    directory = tmp_path / "1"
    shutil.copytree(models / "constant" / "1", directory)
    options = LoadOptions(batching=Batching.start(None, per_model=True))

    def batches() -> bool:
        servable = load_servable("constant", 1, directory, options)
        servable.close()
        return servable.batches

    assert not batches()
    (directory / "batching_params.pbtxt").write_text("max_batch_size { value: 4 }")
    assert batches()
    (directory / "batching_params.pbtxt").write_text("max_batch_size { value: 0 }")
    with pytest.raises(StatusError, match="input_batch_size_limit must be positive"):
        batches()
