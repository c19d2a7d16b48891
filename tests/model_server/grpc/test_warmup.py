from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.model_server.grpc.tfrecords import write_records
from tests.model_server.server_process import PATIENCE, ServerProcess
from tests.program import eventually
from tfserve.model_server.grpc.warmup import REQUESTS_FILE, warm_up
from tfserve.model_server.monitoring.metrics import MODEL_WARMUP_LATENCY, MODEL_WARMUP_RECORDS_READ
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.apis_pb2 import PredictionLog, PredictLog, PredictRequest
from tfserve.protos.saved_model_pb2 import DT_FLOAT, DT_STRING, TensorProto


def predict_log(signature: str = "", **inputs: TensorProto) -> bytes:
    request = PredictRequest(inputs=inputs)
    request.model_spec.name = "any"
    request.model_spec.signature_name = signature
    return PredictionLog(predict_log=PredictLog(request=request)).SerializeToString()


def text(value: Path) -> TensorProto:
    return TensorProto(dtype=DT_STRING, string_val=[str(value).encode()], tensor_shape={})


def numbers(*values: float) -> TensorProto:
    return TensorProto(dtype=DT_FLOAT, float_val=values, tensor_shape={"dim": [{"size": len(values)}]})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / REQUESTS_FILE).parent.mkdir()
    return tmp_path


def write(directory: Path, *records: bytes) -> None:
    write_records(directory / REQUESTS_FILE, records)


def test_a_model_without_requests_is_not_warmed_up(zoo: Servable, tmp_path: Path) -> None:
    warm_up(zoo, tmp_path)


def test_requests_are_run(zoo: Servable, directory: Path) -> None:
    started = [directory / "first", directory / "second"]
    write(directory, *(predict_log("hold", started=text(path), go=text(directory)) for path in started))
    warm_up(zoo, directory)
    assert all(path.exists() for path in started)


def test_a_warmed_up_signature_is_fast_from_the_first_request_on(models: Path, directory: Path) -> None:
    servable = load_servable("zoo", 1, models / "zoo" / "1", LoadOptions())
    write(directory, predict_log("two", x=numbers(1, 2)))
    assert not servable.is_fast("two")

    def is_fast() -> bool:
        warm_up(servable, directory, iterations=20)
        return servable.is_fast("two")

    eventually(is_fast, PATIENCE)  # other work on the machine can make short runs take long
    assert servable.run("two", {"x": np.zeros(2, np.float32)})["y"].tolist() == [1.0, 2.0]
    servable.close()


@pytest.mark.parametrize(
    ("records", "code", "message"),
    [
        ([b"\xff\xff"], Code.INVALID_ARGUMENT, "Failed to parse warmup record"),
        ([PredictionLog(session_run_log=b"").SerializeToString()], Code.UNIMPLEMENTED, "Unsupported log_type"),
        ([predict_log("two", x=numbers(1, 2, 3))], Code.INVALID_ARGUMENT, "ncompatible shapes"),
        ([predict_log("nope", x=numbers(1))], Code.FAILED_PRECONDITION, "nope"),
        ([PredictionLog().SerializeToString()] * 1001, Code.INVALID_ARGUMENT, "exceeds the maximum (1000)"),
    ],
)
def test_invalid_requests(zoo: Servable, directory: Path, records: list[bytes], code: Code, message: str) -> None:
    write(directory, *records)
    with pytest.raises(StatusError) as caught:
        warm_up(zoo, directory)
    assert caught.value.code is code
    assert message in caught.value.message


def test_a_file_in_another_format(zoo: Servable, directory: Path) -> None:
    (directory / REQUESTS_FILE).write_bytes(b"not a TFRecord file, though longer than a record's head")
    with pytest.raises(StatusError, match="verify your warmup data is in TFRecord format") as caught:
        warm_up(zoo, directory)
    assert caught.value.code is Code.DATA_LOSS


def test_records_are_counted(zoo: Servable, directory: Path) -> None:
    path = directory / REQUESTS_FILE
    write(directory, *[predict_log("two", x=numbers(1, 2))] * 3)
    warm_up(zoo, directory)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StatusError) as caught:
        warm_up(zoo, directory)
    damage = str(caught.value).partition(". Please")[0]
    assert damage.startswith("DATA_LOSS: truncated record at ")
    read = {labels: number for labels, number in MODEL_WARMUP_RECORDS_READ.cells() if labels[0] == str(directory)}
    assert read == {(str(directory), "OK"): 3, (str(directory), damage): 2}
    timed = {labels: sum(found.counts) for labels, found in MODEL_WARMUP_LATENCY.cells() if labels in read}
    assert timed == dict.fromkeys(read, 1)


def test_on_a_server(half_plus_two: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    shutil.copytree(half_plus_two, base_path)
    requests = base_path / next(base_path.iterdir()).name / REQUESTS_FILE
    requests.parent.mkdir(exist_ok=True)
    write_records(requests, [predict_log(x=numbers(1)), predict_log(x=numbers(2))])
    with ServerProcess(tmp_path / "log", base_path) as server:
        server.wait_until_ready()
        assert "Number of warmup records read: 2." in server.log
    with ServerProcess(tmp_path / "log", base_path, "--enable_model_warmup=false") as server:
        server.wait_until_ready()
        assert "warmup" not in server.log
    requests.write_bytes(b"broken")
    with ServerProcess(tmp_path / "log", base_path, "--max_num_load_retries=0") as server:
        assert server.wait_for_exit() == 255
        assert "DATA_LOSS: truncated record at 0. Please verify" in server.log
