"""Calls a model server with ``tensorflow-serving-api``, the official client package, and prints the responses.

A program for an environment that has the package: ``serving_api_client.py HOST:PORT BASE_PATH``. The server has
the model half_plus_two. Prints a JSON object: method -> the response, or the name of a status.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

MODEL = "half_plus_two"


def for_model(request, signature=""):
    request.model_spec.name = MODEL
    request.model_spec.signature_name = signature
    return request


def with_examples(request):
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[2.0]))
    request.input.example_list.examples.add(features=tf.train.Features(feature={"x": feature}))
    return request


def predict(service, _):
    request = for_model(predict_pb2.PredictRequest())
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0, 5.0]))
    return tf.make_ndarray(service.Predict(request).outputs["y"]).tolist()


def classify(service, _):
    request = with_examples(for_model(classification_pb2.ClassificationRequest(), "classify_x_to_y"))
    return [found.classes[0].score for found in service.Classify(request).result.classifications]


def regress(service, _):
    request = with_examples(for_model(regression_pb2.RegressionRequest(), "regress_x_to_y"))
    return [found.value for found in service.Regress(request).result.regressions]


def multi_inference(service, _):
    request = with_examples(inference_pb2.MultiInferenceRequest())
    for_model(request.tasks.add(method_name="tensorflow/serving/regress"), "regress_x_to_y")
    for_model(request.tasks.add(method_name="tensorflow/serving/classify"), "classify_x_to_y")
    return [result.WhichOneof("result") for result in service.MultiInference(request).results]


def get_model_metadata(service, _):
    request = for_model(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]))
    response = service.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    return sorted(signatures.signature_def)


def get_model_status(_, service):
    response = service.GetModelStatus(for_model(get_model_status_pb2.GetModelStatusRequest()))
    states = get_model_status_pb2.ModelVersionStatus.State
    return [[found.version, states.Name(found.state)] for found in response.model_version_status]


def handle_reload_config_request(_, service):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name=MODEL, base_path=sys.argv[2], model_platform="tensorflow")
    return service.HandleReloadConfigRequest(request).status.error_code


METHODS = {
    "Predict": predict,
    "Classify": classify,
    "Regress": regress,
    "MultiInference": multi_inference,
    "GetModelMetadata": get_model_metadata,
    "GetModelStatus": get_model_status,
    "HandleReloadConfigRequest": handle_reload_config_request,
}

if __name__ == "__main__":
    channel = grpc.insecure_channel(sys.argv[1])
    services = (
        prediction_service_pb2_grpc.PredictionServiceStub(channel),
        model_service_pb2_grpc.ModelServiceStub(channel),
    )
    answers = {}
    for name, method in METHODS.items():
        try:
            answers[name] = method(*services)
        except grpc.RpcError as failure:
            answers[name] = failure.code().name
    print(json.dumps(answers))
