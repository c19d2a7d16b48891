"""A client of TensorFlow Serving's gRPC API: status, metadata, predict, classify and regress.

Tensors are sent as ``tensor_content``, in messages of up to 2 GiB. What a response may take in memory is limited,
because it can describe large tensors in a few bytes. Sources of names and messages:
``prediction_service.proto`` and ``model_service.proto``.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from tfserve.client.documents import ModelMetadata
from tfserve.client.failures import malformed, too_complex, too_large
from tfserve.client.grpc_channel import open_channel
from tfserve.client.messages import InferenceResponse, Method
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import base_url, check_timeout
from tfserve.client.row_column import DEFAULT_SIGNATURE, REQUEST_HINT
from tfserve.client.signature_choice import choose_signature
from tfserve.defaults import Api
from tfserve.errors import UsageError
from tfserve.models.saved_model import Signature, public_signatures
from tfserve.protos import apis_pb2 as apis
from tfserve.protos.dtypes import Array
from tfserve.protos.version_status import State, VersionStatus

__all__ = ["GrpcClient"]

_M = TypeVar("_M", bound=Message)
_MAX_TENSOR_BYTES = 2**31 - 2**20  # protobuf's limit, minus a megabyte for the rest of the message
_MAX_TENSORS = 2**30  # bytes of all tensors of a response
_MAX_JSON_VALUES = 25_000_000  # of all tensors of a response that are converted to JSON; they take about 1 GiB
_UNCOUNTED_BYTES = 16 * 2**20  # a message of this size cannot have so many fields that parsing it takes 1 GiB
_MAX_FIELDS = 2_000_000
_MAX_DOCUMENT_BYTES = 32 * 2**20  # status and metadata have a few kB
_MAX_DOCUMENT_FIELDS = 100_000
_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"


class GrpcClient:
    """A connection to one server, kept open between requests, for any number of threads.

    No proxy is used for this machine itself.

    Args:
        address: the address of the server, such as ``127.0.0.1:8500``; with ``https://`` in front, TLS is used.
        timeout: the maximum duration of a request, in seconds.

    Raises:
        UsageError: `address` or `timeout` is not valid.
    """

    api: Api = "grpc"

    def __init__(self, address: str, *, timeout: float = 60.0) -> None:
        check_timeout(timeout)
        self.url = base_url(address)
        self.timeout = timeout
        self._channel: Any = None

    def status(self, model: str) -> tuple[VersionStatus, ...]:
        import grpc

        request = apis.GetModelStatusRequest(model_spec=_model_spec(ModelRef(model)))
        response = self._call(_MODEL, "GetModelStatus", request, apis.GetModelStatusResponse)
        states = {state.value: state.name for state in State}
        codes = {code.value[0]: code.name for code in grpc.StatusCode}
        return tuple(
            VersionStatus(
                found.version,
                states.get(found.state, "UNKNOWN"),
                codes.get(found.status.error_code, "UNKNOWN"),
                found.status.error_message,
            )
            for found in response.model_version_status
        )

    def metadata(self, model: ModelRef) -> ModelMetadata:
        request = apis.GetModelMetadataRequest(model_spec=_model_spec(model), metadata_field=["signature_def"])
        response = self._call(_PREDICTION, "GetModelMetadata", request, apis.GetModelMetadataResponse)
        definitions = self._parsed(response.metadata["signature_def"].value, apis.SignatureDefMap, document=True)
        found = response.model_spec
        number = found.version.value if found.HasField("version") else None
        return ModelMetadata(
            name=found.name or model.name,
            version=number,
            signatures=public_signatures(definitions.signature_def),
            document=_metadata_document(response, definitions),
        )

    def infer(self, method: Method, model: ModelRef, body: bytes) -> InferenceResponse:
        """Sends `body`, a JSON request of the REST API, as a message; returns the response in the form of the REST API.

        Raises:
            RequestError: see `RestClient.infer`.
            UsageError: `body` is not a valid request, or does not match the signature.
        """
        document = _parsed(body)
        name = document.get("signature_name", "")
        if not isinstance(name, str):
            raise UsageError('"signature_name" is not a string.', hint="tfserve metadata lists the signatures.")
        begin = time.perf_counter()
        if method == "predict":
            response = self._predict_json(model, document, name)
        else:
            response = self._infer_examples(method, document, _model_spec(model, name))
        latency_ms = (time.perf_counter() - begin) * 1e3
        return InferenceResponse(json.dumps(response).encode(), response, latency_ms)

    def predict_arrays(
        self, model: ModelRef, arrays: Mapping[str, Array], signature: Signature, signature_name: str
    ) -> dict[str, Array]:
        """Sends the inputs in `arrays`, by name, to predict, and returns the outputs by name, as read-only arrays.

        Raises:
            StaleSignatureError: the model has another signature by now.
            RequestError: see `RestClient.infer`.
            UsageError: the inputs do not fit into one message.
        """
        from tfserve.client.json_arrays import StaleSignatureError
        from tfserve.protos.tensors import MalformedTensorError, to_array, to_proto_content

        size = sum(array.nbytes for array in arrays.values())
        if size > _MAX_TENSOR_BYTES:
            raise UsageError(
                f"A gRPC message is limited to 2 GiB; these inputs have {size / 2**30:.1f} GiB.",
                hint="Send fewer instances per request.",
            )
        request = apis.PredictRequest(model_spec=_model_spec(model, signature_name))
        for name, array in arrays.items():
            request.inputs[name].MergeFromString(to_proto_content(array))
        response = self._call(_PREDICTION, "Predict", request, apis.PredictResponse)
        if response.outputs.keys() != signature.outputs.keys():
            raise StaleSignatureError("other outputs")
        outputs: dict[str, Array] = {}
        left = _MAX_TENSORS
        try:
            for name in signature.outputs:
                outputs[name] = to_array(response.outputs[name])
                left -= outputs[name].nbytes
                if left < 0:
                    raise too_large(self.url, _MAX_TENSORS)
        except MalformedTensorError as error:
            raise malformed(self.url, f"a tensor is malformed: {error}") from None
        return outputs

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _predict_json(self, model: ModelRef, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        from tfserve.client.json_arrays import encode_outputs, read_inputs

        signatures = self.metadata(model).signatures
        name, signature = choose_signature(signatures, name or DEFAULT_SIGNATURE)
        arrays, format_ = read_inputs(document, signature)
        outputs = self.predict_arrays(model, arrays, signature, name)
        if sum(_values_as_lists(array.shape) for array in outputs.values()) > _MAX_JSON_VALUES:
            raise too_complex(self.url)
        return encode_outputs(outputs, format_)

    def _infer_examples(self, method: Method, document: Mapping[str, Any], spec: apis.ModelSpec) -> dict[str, Any]:
        from tfserve.client.example_protos import build_input, class_results, value_results

        examples = build_input(document)
        if method == "classify":
            classify = apis.ClassificationRequest(model_spec=spec, input=examples)
            return class_results(self._call(_PREDICTION, "Classify", classify, apis.ClassificationResponse))
        request = apis.RegressionRequest(model_spec=spec, input=examples)
        return value_results(self._call(_PREDICTION, "Regress", request, apis.RegressionResponse))

    def _call(self, service: str, method: str, request: Message, response: type[_M]) -> _M:
        import grpc

        from tfserve.client.grpc_channel import call_failure

        if self._channel is None:
            self._channel = open_channel(self.url)
        call = self._channel.unary_unary(f"/{service}/{method}")
        try:
            received = call(request.SerializeToString(), timeout=self.timeout)
        except grpc.RpcError as error:
            raise call_failure(error, self.url, self.timeout) from None
        return self._parsed(received, response, document=method.startswith("Get"))

    def _parsed(self, received: bytes, response: type[_M], *, document: bool) -> _M:
        """Parses a message, after a check of its size and of the number of its fields."""
        from tfserve.protos.field_count import TooManyFieldsError, check_field_count
        from tfserve.protos.wire import MalformedError

        if document and len(received) > _MAX_DOCUMENT_BYTES:
            raise too_large(self.url, _MAX_DOCUMENT_BYTES)
        limit = _MAX_DOCUMENT_FIELDS if document else _MAX_FIELDS
        try:
            if len(received) > (2 * limit if document else _UNCOUNTED_BYTES):
                check_field_count(received, 0, len(received), response, limit)
            return response.FromString(received)
        except TooManyFieldsError:
            raise too_complex(self.url) from None
        except (MalformedError, DecodeError):
            raise malformed(self.url, "the response is malformed") from None


def _values_as_lists(shape: tuple[int, ...]) -> int:
    """Returns how many values and lists the nested lists for an array of `shape` have; there can be 2^40 empty ones."""
    return sum(math.prod(shape[:rank]) for rank in range(len(shape) + 1))


def _model_spec(model: ModelRef, signature_name: str = "") -> apis.ModelSpec:
    """Returns `model` and the name of a signature as a message.

    Raises:
        UsageError: a name is not valid Unicode.
    """
    try:
        spec = apis.ModelSpec(name=model.name, signature_name=signature_name)
        if model.version is not None:
            spec.version.value = model.version
        if model.label is not None:
            spec.version_label = model.label
    except UnicodeEncodeError:
        raise UsageError(
            "A name is not valid Unicode, which gRPC requires.", hint="Use the REST API, or rename the model."
        ) from None
    return spec


def _parsed(body: bytes) -> dict[str, Any]:
    from tfserve.client.json_document import read_json

    try:
        document = read_json(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UsageError("The request is not a JSON object.", hint=REQUEST_HINT)
    return document


def _metadata_document(response: apis.GetModelMetadataResponse, definitions: apis.SignatureDefMap) -> dict[str, Any]:
    """Returns the document that ``GET …/metadata`` returns over REST."""
    from google.protobuf.json_format import MessageToDict

    def as_dict(message: Message) -> dict[str, Any]:
        return MessageToDict(message, preserving_proto_field_name=True)

    return {"model_spec": as_dict(response.model_spec), "metadata": {"signature_def": as_dict(definitions)}}
