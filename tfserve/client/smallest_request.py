"""The smallest request that a model can be asked, for the smoke test after a start."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tfserve.client.examples import describe_inputs
from tfserve.client.messages import InferenceRequest
from tfserve.client.row_column import DEFAULT_SIGNATURE, encode_request
from tfserve.client.shapes import shape_text
from tfserve.client.signature_choice import is_example_signature
from tfserve.client.values import INTEGER_RANGES, is_sendable
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature, TensorSpec
from tfserve.text import printable

__all__ = ["NoSmokeRequestError", "smallest_request", "smoke_signature"]

MAX_BODY_BYTES = 32 * 2**20
_HINT = "Send a request of your own with --smoke-test FILE, or do without: --no-smoke-test"


class NoSmokeRequestError(RequestError):
    """No request can be made up for this model. Nothing is wrong with it: the smoke test is to be left out."""


def smoke_signature(signatures: Mapping[str, Signature]) -> tuple[str, Signature]:
    """Returns name and signature to try: ``serving_default`` if predict can ask it, else the first one that it can.

    Raises:
        NoSmokeRequestError: there is none.
    """
    names = sorted(signatures, key=lambda name: name != DEFAULT_SIGNATURE)
    for name in names:
        if signatures[name].inputs and not is_example_signature(signatures[name]):
            return name, signatures[name]
    listed = ", ".join(printable(name) for name in names) or "none"
    raise NoSmokeRequestError(
        f"No signature of the model can be asked to predict; its signatures are: {listed}.", hint=_HINT
    )


def smallest_request(signature: Signature, name: str) -> InferenceRequest:
    """Returns the smallest request that is valid for `signature`: zeros, empty strings, false.

    Unknown dimensions are 1, and a tensor of unknown rank is a batch of one single value. It is in column format,
    which any inputs and any outputs can have.

    Args:
        signature: what to ask.
        name: its name.

    Raises:
        NoSmokeRequestError: it has no inputs, or a serialized ``tf.Example`` or a type that REST does not carry, or an
            empty tensor whose shape JSON cannot tell, as one, or even the smallest request has more than 32 MiB.
    """
    if not signature.inputs or is_example_signature(signature):
        raise NoSmokeRequestError(f"The signature {name!r} cannot be asked to predict.", hint=_HINT)
    content: dict[str, str] = {}
    left = MAX_BODY_BYTES
    for key, spec in signature.inputs.items():
        left -= _size(spec)
        if problem := _problem(printable(key), spec, left):
            raise NoSmokeRequestError(problem, hint=_HINT, details=describe_inputs(signature))
        content[key] = _zeros(spec)
    if len(content) == 1:
        inputs = next(iter(content.values()))
    else:
        inputs = "{" + ",".join(f"{json.dumps(key)}:{zeros}" for key, zeros in content.items()) + "}"
    return InferenceRequest("predict", encode_request(name, "column", inputs), name, signature)


def _problem(name: str, spec: TensorSpec, left: int) -> str | None:
    """Returns why a request cannot have the input `name`, beside which `left` bytes are left for others."""
    if not is_sendable(spec.dtype):
        return f"TensorFlow Serving takes no {printable(spec.dtype)} over REST."
    if spec.shape is not None and 0 in spec.shape[:-1]:
        return f"JSON cannot tell the shape of an empty tensor such as {name}: {shape_text(spec.shape)}."
    if left < 0:
        return (
            f"Even the smallest request has more than {MAX_BODY_BYTES // 2**20} MiB: {name} has the shape "
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
    """Returns how many characters `_zeros` would write."""
    size = len(_zero(spec.dtype))
    for count in _sizes(spec):
        size = 2 + count * size + max(count - 1, 0)
    return size


def _zeros(spec: TensorSpec) -> str:
    content = _zero(spec.dtype)
    for count in _sizes(spec):
        content = "[" + ",".join([content] * count) + "]"
    return content
