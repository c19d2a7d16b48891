"""The smallest request that is valid for a model, used as the smoke test of a new server."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tfserve.client.examples import describe_inputs
from tfserve.client.messages import InferenceRequest
from tfserve.client.row_column import DEFAULT_SIGNATURE, encode_request
from tfserve.client.shapes import shape_text
from tfserve.client.signature_choice import is_example_signature
from tfserve.client.values import INTEGER_RANGES, is_sendable
from tfserve.errors import Attribute, RequestError, Wording
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.text import printable

__all__ = ["SMOKE_TEST_HINT", "NoSmokeRequestError", "smallest_request", "smoke_signature"]

MAX_BODY_BYTES = 32 * 2**20
SMOKE_TEST_HINT = Wording(
    "Send your own request with {smoke_test}, or skip the smoke test with {skip}.",
    skip=Attribute("smoke_test", False),
)


class NoSmokeRequestError(RequestError):
    """No request can be generated for this model. The model itself may be valid, so the smoke test is skipped."""


def smoke_signature(signatures: Mapping[str, Signature]) -> tuple[str, Signature]:
    """Returns the signature for the smoke test: ``serving_default``, or else the first for predict; with its name.

    Raises:
        NoSmokeRequestError: the model has no signature for predict.
    """
    names = sorted(signatures, key=lambda name: name != DEFAULT_SIGNATURE)
    for name in names:
        if signatures[name].inputs and not is_example_signature(signatures[name]):
            return name, signatures[name]
    listed = ", ".join(printable(name) for name in names) or "none"
    raise NoSmokeRequestError(
        f"The model has no signature for predict; its signatures are: {listed}.", hint=SMOKE_TEST_HINT
    )


def smallest_request(signature: Signature, name: str) -> InferenceRequest:
    """Returns the smallest request that is valid for `signature`: zeros, empty strings, false.

    Unknown dimensions are 1, and a tensor of unknown rank is a batch of one value. The request has the column format,
    which is possible for all inputs and outputs.

    Args:
        signature: the signature.
        name: its name.

    Raises:
        NoSmokeRequestError: the signature has no inputs, is not for predict, or has an input of a type that REST does
            not carry or of a shape that JSON cannot represent; or the request would have more than 32 MiB.
    """
    if not signature.inputs or is_example_signature(signature):
        raise NoSmokeRequestError(f"The signature {name!r} is not for predict.", hint=SMOKE_TEST_HINT)
    content: dict[str, str] = {}
    left = MAX_BODY_BYTES
    for key, spec in signature.inputs.items():
        left -= _size(spec)
        if problem := _problem(printable(key), spec, left):
            raise NoSmokeRequestError(problem, hint=SMOKE_TEST_HINT, details=describe_inputs(signature))
        content[key] = _zeros(spec)
    if len(content) == 1:
        inputs = next(iter(content.values()))
    else:
        inputs = "{" + ",".join(f"{json.dumps(key)}:{zeros}" for key, zeros in content.items()) + "}"
    return InferenceRequest("predict", encode_request(name, "column", inputs), name, signature)


def _problem(name: str, spec: TensorSpec, left: int) -> str | None:
    """Returns why the input `name` is not possible, if `left` bytes remain after it; None if it is."""
    if not is_sendable(spec.dtype):
        return f"TensorFlow Serving does not accept {printable(spec.dtype)} over REST."
    if spec.shape is not None and 0 in spec.shape[:-1]:
        return f"JSON cannot represent the shape of the empty tensor {name}: {shape_text(spec.shape)}."
    if left < 0:
        return (
            f"The smallest request would have more than {MAX_BODY_BYTES // 2**20} MiB: {name} has the shape "
            f"{shape_text(spec.shape)}."
        )
    return None


def _sizes(spec: TensorSpec) -> list[int]:
    """Returns the dimensions, innermost first."""
    shape = (1,) if spec.shape is None else spec.shape
    return [1 if size == -1 else size for size in reversed(shape)]


def _zero(dtype: str) -> str:
    if dtype == "DT_STRING":
        return '""'
    if dtype == "DT_BOOL":
        return "false"
    return "0" if dtype in INTEGER_RANGES else "0.0"


def _size(spec: TensorSpec) -> int:
    """Returns the length of the text that `_zeros` returns, without building it."""
    size = len(_zero(spec.dtype))
    for count in _sizes(spec):
        size = 2 + count * size + max(count - 1, 0)
    return size


def _zeros(spec: TensorSpec) -> str:
    content = _zero(spec.dtype)
    for count in _sizes(spec):
        content = "[" + ",".join([content] * count) + "]"
    return content
