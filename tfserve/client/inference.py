"""Sends a request, explains why the server refused it, and shows the response as a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from tfserve.client.examples import describe_inputs, example_hint
from tfserve.client.failures import RefusedError
from tfserve.client.json_document import read_json
from tfserve.client.messages import InferenceRequest, InferenceResponse
from tfserve.client.signature_choice import choose_signature
from tfserve.errors import RequestError, UsageError
from tfserve.models.saved_model import Signature
from tfserve.text import nearest, printable

if TYPE_CHECKING:
    from tfserve.client.answer_table import Table
    from tfserve.client.connection import Connection
    from tfserve.client.model_ref import ModelRef

__all__ = ["infer", "response_table"]

# The wording of TensorFlow's ParseExample operation.
_MISSING_FEATURE = re.compile(r"Feature: (.{1,200}?) \(data type: (\w+)\) is required")


def infer(connection: Connection, model: ModelRef, request: InferenceRequest) -> InferenceResponse:
    """Sends `request`, and explains what to change if the server refuses its inputs or features (HTTP 400).

    Raises:
        RequestError: the request failed; see `RestClient.infer`.
        UsageError: `request` cannot be sent over gRPC.
    """
    try:
        return connection.infer(request.method, model, request.body)
    except RefusedError as error:
        if error.status != 400:
            raise
        explained = (
            _with_inputs(error, connection, model, request)
            if request.method == "predict"
            else _with_features(error, request)
        )
        if explained is None:
            raise
        raise explained from None


def response_table(
    request: InferenceRequest, response: InferenceResponse, check: Callable[[], None] = lambda: None
) -> Table:
    """Returns a response as a table, with the inputs or features of the request where they are known.

    Args:
        request: the request.
        response: the response to it.
        check: is called now and then; what it raises ends the work.

    Raises:
        RequestError: `response` does not have the form that TensorFlow Serving gives it.
    """
    if request.method == "predict":
        from tfserve.client.answer_table import tabulate

        return tabulate(response.document, signature=request.signature, request=request.body, check=check)
    from tfserve.client.results import tabulate_results

    return tabulate_results(request.method, response.document, request=request.body)


def _with_inputs(
    error: RefusedError, connection: Connection, model: ModelRef, request: InferenceRequest
) -> RefusedError | None:
    """Returns `error` with the inputs of the signature and an example, or None if the signature cannot be read."""
    signature = request.signature or _read_signature(connection, model, request.signature_name)
    if signature is None:
        return None
    return RefusedError(
        error.wording,
        status=error.status,
        reason=error.reason,
        hint=example_hint(signature, request.signature_name),
        details=describe_inputs(signature),
    )


def _read_signature(connection: Connection, model: ModelRef, name: str) -> Signature | None:
    try:
        return choose_signature(connection.metadata(model).signatures, name)[1]
    except (RequestError, UsageError):
        return None


def _with_features(error: RefusedError, request: InferenceRequest) -> RefusedError | None:
    """Returns `error` with a hint about the features, or None if the server refused something else."""
    reason = error.reason or ""
    if missing := _MISSING_FEATURE.search(reason):
        hint = f"The model needs the feature {printable(missing[1])!r} of type {missing[2]}."
        if near := nearest(missing[1], _feature_names(request)):
            hint += f" Is {printable(near)!r} meant to be that feature?"
    elif "types don't match" in reason:
        hint = '1 is sent as int64, 1.0 as float, and "1" as bytes.'
    else:
        return None
    return RefusedError(error.wording, status=error.status, reason=error.reason, hint=hint)


def _feature_names(request: InferenceRequest) -> Collection[str]:
    examples = read_json(request.body).get("examples")
    return {name for example in examples if isinstance(example, dict) for name in example}
