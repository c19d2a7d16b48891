"""A gRPC Predict request.

Sources: ``predict_util.cc`` and ``predict_impl.cc`` of TensorFlow Serving, ``GetInputValues`` of TensorFlow's
``cc/saved_model/util.cc``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from tfserve.model_server.grpc.messages import model_spec, read_message, requested_model, serialized_model_spec
from tfserve.model_server.inference.prediction import check_predicts
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable, Signature
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.apis_pb2 import PredictRequest, PredictResponse
from tfserve.protos.dtypes import Array, dtype_name
from tfserve.protos.large_inputs import LARGE_BYTES, find_large_inputs
from tfserve.protos.tensors import (
    LargeField,
    MalformedTensorError,
    Part,
    ToParts,
    described_bytes,
    fields_parts,
    to_array,
)
from tfserve.protos.wire import length_delimited, varint

# Tags of PredictResponse, and of an entry of its map of outputs; all are length-delimited.
_OUTPUTS, _MODEL_SPEC = (
    PredictResponse.DESCRIPTOR.fields_by_name[name].number << 3 | 2 for name in ("outputs", "model_spec")
)
_KEY, _VALUE = 1 << 3 | 2, 2 << 3 | 2
_MAX_LISTED_NAMES = 200


class GrpcPredict(InferenceRequest):
    """A ``PredictRequest``.

    Args:
        body: the serialized message.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
        to_parts: serializes the tensors of the response.

    Raises:
        StatusError: INTERNAL, `body` is not such a message; INVALID_ARGUMENT, it does not name a model.
    """

    api = "Predict"
    entrypoint = "GRPC"

    def __init__(self, body: bytes, timeout_ms: int, to_parts: ToParts = fields_parts) -> None:
        self.timeout_ms = timeout_ms
        request, large = _read(body)
        self._request: PredictRequest | None = request
        self._large = large
        self.model = requested_model(model_spec(request))
        if large:
            sizes = [described_bytes(tensor, large.get(alias)) for alias, tensor in request.inputs.items()]
        else:
            sizes = [described_bytes(tensor) for tensor in request.inputs.values()]
        self.size = max(len(body), sum(sizes))
        self._to_parts = to_parts
        self._signature = DEFAULT_SIGNATURE

    def prepare(self, servable: Servable) -> Sequence[Call]:
        request = self._request
        assert request is not None  # noqa: S101, for the types: it has not been released
        self._signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.signatures.get(self._signature)
        if signature is None:
            raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{self._signature}" not found.')
        if servable.checks_methods:
            check_predicts(signature)
        arrays = _inputs(request, self._large, signature)
        outputs = _filtered(request.output_filter, signature) if request.output_filter else None
        return (Call(self._signature, arrays, outputs),)

    def release(self) -> None:
        self._request, self._large = None, {}

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        fields: list[Part] = []
        for alias, array in results[0].items():
            parts = self._to_parts(array)
            key = length_delimited(_KEY, alias.encode())
            size = sum([len(part) for part in parts])
            value = bytes((_VALUE,)) + varint(size)
            length = varint(len(key) + len(value) + size)
            fields += [bytes((_OUTPUTS,)) + length + key + value, *parts]
        spec = serialized_model_spec(self.model.name, servable.version, self._signature)
        return b"".join([*fields, length_delimited(_MODEL_SPEC, spec)])


def _read(body: bytes) -> tuple[PredictRequest, Mapping[str, LargeField]]:
    """Returns a request, and the values of its large inputs, alias -> values, which share the memory of `body`.

    Raises:
        StatusError: INTERNAL, `body` is not such a message.
    """
    if len(body) >= LARGE_BYTES and (found := find_large_inputs(body)) is not None:
        request = read_message(PredictRequest, found.rest)
        if len(request.inputs) == found.inputs:
            return request, found.values
    return read_message(PredictRequest, body), {}


def _inputs(request: PredictRequest, large: Mapping[str, LargeField], signature: Signature) -> dict[str, Array]:
    """Returns the input arrays, each from the request or from the default values of the signature."""
    given = request.inputs
    wanted = signature.inputs
    defaults = signature.definition.defaults
    if len(given) > len(wanted) or (len(given) < len(wanted) and not defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(wanted)} len({{{_join(given)}}}) != "
            f"len({{{_join(wanted)}}}). Sent extra: {{{_join(given.keys() - wanted.keys())}}}. "
            f"Missing but required: {{{_join(wanted.keys() - given.keys())}}}."
        )
    arrays = {}
    mismatch = ""
    used = 0
    for index, (alias, dtype) in enumerate(wanted.items()):
        if alias in given:
            proto = given[alias]
            used += 1
        elif alias in defaults:
            proto = defaults[alias]
        else:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {signature.definition.inputs[alias].name}) not found in "
                f"request and no default value provided. Inputs expected to be in the request {{{_join(given)}}}, "
                f"or default input alias set: {_join(defaults)}"
            )
        try:
            arrays[alias] = to_array(proto, large.get(alias) if large else None)
        except MalformedTensorError as failure:
            raise invalid_argument(f"tensor parsing error: {alias}: {failure}") from None
        if proto.dtype != dtype and not mismatch:
            mismatch = f"Expects arg[{index}] to be {dtype_name(dtype)} but {dtype_name(proto.dtype)} is provided"
    if used != len(given):
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {_join(wanted.keys() & given.keys())}, "
            f"request input: {_join(given)}"
        )
    if mismatch:
        raise invalid_argument(mismatch)
    return arrays


def _filtered(aliases: Iterable[str], signature: Signature) -> tuple[str, ...]:
    """Returns the outputs that the filter of a request selects."""
    wanted: dict[str, None] = {}
    for alias in aliases:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_join(signature.outputs)}}}."
            )
        if alias in wanted:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        wanted[alias] = None
    return tuple(wanted)


def _join(names: Iterable[str]) -> str:
    """Lists names for an error, at most `_MAX_LISTED_NAMES`: a request can have thousands, and errors are truncated."""
    listed = sorted(itertools.islice(names, _MAX_LISTED_NAMES + 1))
    return ",".join(listed[:_MAX_LISTED_NAMES]) + (",..." if len(listed) > _MAX_LISTED_NAMES else "")
