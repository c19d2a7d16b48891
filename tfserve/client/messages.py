"""What travels between a client and a server for one inference: a request and its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tfserve.models.saved_model import Signature

__all__ = ["InferenceRequest", "InferenceResponse", "Method"]

Method = Literal["predict", "classify", "regress"]


@dataclass(frozen=True)
class InferenceRequest:
    """A request to predict, classify or regress, ready to be sent.

    Attributes:
        method: the method of the API.
        body: JSON in UTF-8.
        signature_name: the signature that `body` names, or the default.
        signature: that signature, if it was read from the server while building the request.
    """

    method: Method
    body: bytes
    signature_name: str
    signature: Signature | None = None


@dataclass(frozen=True)
class InferenceResponse:
    """The response to a request to predict, classify or regress.

    Attributes:
        body: the server's own bytes, unchanged: a JSON object with "predictions", "outputs" or "results".
        document: that object, parsed by `tfserve.client.json_document.read_json`.
        latency_ms: milliseconds from sending the request to the last byte of the response.
    """

    body: bytes
    document: dict[str, Any]
    latency_ms: float
