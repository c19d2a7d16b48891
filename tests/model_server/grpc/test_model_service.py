from __future__ import annotations

import json
from pathlib import Path

from google.protobuf import any_pb2

from tfserve.protos import apis_pb2
from tfserve.protos.saved_model_pb2 import DataType

from .client import Client, Failure
from .conftest import GrpcProcess

INVALID = "INVALID_ARGUMENT"
METADATA = "PredictionService/GetModelMetadata"
STATUS = "ModelService/GetModelStatus"
RELOAD = "ModelService/HandleReloadConfigRequest"


def metadata_request(name: str, *fields: str) -> apis_pb2.GetModelMetadataRequest:
    request = apis_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    return request


def status_request(name: str, version: int | None = None) -> apis_pb2.GetModelStatusRequest:
    request = apis_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    return request


def test_metadata_has_the_signatures(zoo_client: Client) -> None:
    response = zoo_client.call(METADATA, metadata_request("zoo", "signature_def"), apis_pb2.GetModelMetadataResponse)
    assert (response.model_spec.name, response.model_spec.version.value) == ("zoo", 1)
    assert list(response.metadata) == ["signature_def"]
    packed: any_pb2.Any = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = apis_pb2.SignatureDefMap.FromString(packed.value).signature_def
    assert {"serving_default", "pair", "total"} <= set(signatures)
    assert signatures["pair"].inputs["words"].dtype == DataType.DT_STRING
    assert signatures["pair"].method_name == "tensorflow/serving/predict"
    assert list(signatures["pair"].defaults) == ["number"]


def test_metadata_errors(zoo_client: Client) -> None:
    at_least_one = "GetModelMetadataRequest must specify at least one metadata_field"
    assert zoo_client.failure(METADATA, b"") == Failure(INVALID, "Missing ModelSpec")
    assert zoo_client.failure(METADATA, metadata_request("zoo")) == Failure(INVALID, at_least_one)
    failure = zoo_client.failure(METADATA, metadata_request("zoo", "signature_def", "size"))
    assert failure == Failure(INVALID, "Metadata field size is not supported")
    failure = zoo_client.failure(METADATA, metadata_request("nope", "signature_def"))
    assert failure == Failure("NOT_FOUND", "Servable not found for request: Latest(nope)")


def test_the_status_is_the_same_as_over_rest(zoo_client: Client, zoo_process: GrpcProcess) -> None:
    response = zoo_client.call(STATUS, status_request("zoo"), apis_pb2.GetModelStatusResponse)
    (version,) = response.model_version_status
    assert (version.version, version.state) == (1, 30)
    assert version.HasField("status")
    assert (version.status.error_code, version.status.error_message) == (0, "")
    assert json.loads(zoo_process.get().content)["model_version_status"][0]["state"] == "AVAILABLE"
    assert zoo_client.call(STATUS, status_request("zoo", 1), apis_pb2.GetModelStatusResponse) == response


def test_the_status_of_unknown_models(zoo_client: Client) -> None:
    assert zoo_client.failure(STATUS, b"") == Failure(INVALID, "Missing ModelSpec")
    failure = zoo_client.failure(STATUS, status_request("nope"))
    assert failure == Failure("NOT_FOUND", "Could not find any versions of model nope")
    failure = zoo_client.failure(STATUS, status_request("zoo", 9))
    assert failure == Failure("NOT_FOUND", "Could not find version 9 of model zoo")


def test_a_configuration_without_a_list_of_models(zoo_client: Client, zoo_process: GrpcProcess) -> None:
    failure = zoo_client.failure(RELOAD, apis_pb2.ReloadConfigRequest())
    assert failure.code == INVALID
    assert failure.message.startswith("ServerModelConfig type not supported by HandleReloadConfigRequest.")
    zoo_process.wait_for_log("ReloadConfig failed: ServerModelConfig type not supported")


def test_a_configuration_is_logged_before_it_is_applied(zoo_client: Client, zoo_process: GrpcProcess) -> None:
    request = apis_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="a", base_path="relative", model_platform="tensorflow")
    assert zoo_client.failure(RELOAD, request).code == "INVALID_ARGUMENT"
    zoo_process.wait_for_log(
        "    Config entry\n    \tindex : 0\n    \tpath : relative\n    \tname : a\n    \tplatform : tensorflow\n"
    )


def test_a_reload_returns_the_increase_of_metrics(half_plus_two: Path, tmp_path: Path) -> None:
    loads, latency = "/tensorflow/cc/saved_model/load_attempt_count", "/tensorflow/serving/request_latency"
    request = apis_pb2.ReloadConfigRequest(metric_names=[loads, latency, "/no/such", loads])
    models = request.config.model_config_list.config
    models.add(name="m", base_path=str(half_plus_two), model_platform="tensorflow")
    nothing = tmp_path / "models.config"
    nothing.write_text("model_config_list {}")
    with GrpcProcess(tmp_path / "log", None, config_file=nothing) as process:
        process.wait_until_ready()
        client = process.client()
        for more in (1, 0):
            response = client.call(RELOAD, request, apis_pb2.ReloadConfigResponse)
            assert response.status.error_code == 0
            increases = [(metric.name, metric.int64_value_increase) for metric in response.metric]
            assert increases == [(loads, more), (latency, 0), ("/no/such", 0)]


def test_unknown_methods_and_services(zoo_client: Client) -> None:
    for method in ("PredictionService/Nope", "ModelService/Predict", "SessionService/SessionRun"):
        assert zoo_client.failure(method, b"").code == "UNIMPLEMENTED"
