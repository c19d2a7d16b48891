"""What the inference requests of the REST API have in common: they come with a body of JSON."""

from __future__ import annotations

from tfserve.model_server.inference.request import InferenceRequest
from tfserve.model_server.models.manager import ModelSpec


class RestRequest(InferenceRequest):
    """A request with a body.

    Args:
        model: what is asked.
        body: JSON.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
    """

    __slots__ = ("_body", "model", "size", "timeout_ms")

    entrypoint = "REST"

    def __init__(self, model: ModelSpec, body: bytes, timeout_ms: int) -> None:
        self.model = model
        self.size = len(body)
        self.timeout_ms = timeout_ms
        self._body = body
