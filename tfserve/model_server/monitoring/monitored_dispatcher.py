"""Counts and times the requests for inference of all APIs, where metrics are wanted."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tfserve.model_server.inference.dispatcher import Dispatcher
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.monitoring.metrics import (
    REQUEST_COUNT,
    REQUEST_EXAMPLE_COUNT_TOTAL,
    REQUEST_EXAMPLE_COUNTS,
    REQUEST_LATENCY,
    RUNTIME_LATENCY,
)
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError

_RUNTIME = "TF1"
_MULTI_INFERENCE = "MultiInference"  # of which the official server records the number of examples, and nothing else


class MonitoredDispatcher(Dispatcher):
    """A dispatcher that records what it answers, as the official server does.

    Sources: ``http_server.cc``, ``prediction_service_impl.cc``, ``predict_util.cc`` and ``multi_inference.cc`` of
    TensorFlow Serving.
    """

    async def answer(self, request: InferenceRequest) -> bytes:
        """Answers like `Dispatcher.answer`, and records the request."""
        if request.api == _MULTI_INFERENCE:
            return await super().answer(_CountedRequest(request))
        start = time.perf_counter()
        try:
            body = await super().answer(_TimedRequest(request))
        except StatusError as failure:
            REQUEST_COUNT.add(request.model.name, failure.code.name)
            raise
        except Exception:
            REQUEST_COUNT.add(request.model.name, Code.INTERNAL.name)
            raise
        # The official server takes the method from the path of a REST request, where it stands in small letters.
        api = request.api.lower() if request.entrypoint == "REST" else request.api
        REQUEST_LATENCY.observe(request.model.name, api, request.entrypoint, value=_micros_since(start))
        REQUEST_COUNT.add(request.model.name, Code.OK.name)
        return body


class _Wrapped(InferenceRequest):
    """A request that is another one, with something to be recorded on the way."""

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request
        self.api = request.api
        self.entrypoint = request.entrypoint
        self.model = request.model
        self.size = request.size
        self.timeout_ms = request.timeout_ms


class _TimedRequest(_Wrapped):
    """Records how long the model runs: from when the request is prepared until it can be finished."""

    _start = 0.0

    def prepare(self, servable: Servable) -> Sequence[Call]:
        calls = self._request.prepare(servable)
        self._start = time.perf_counter()
        return calls

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        RUNTIME_LATENCY.observe(self.model.name, self.api, _RUNTIME, value=_micros_since(self._start))
        return self._request.finish(servable, results)


class _CountedRequest(_Wrapped):
    """Records how many examples a model ran."""

    _examples = 0

    def prepare(self, servable: Servable) -> Sequence[Call]:
        calls = self._request.prepare(servable)
        # Every run has the same input: the serialized examples.
        self._examples = next((array.size for call in calls for array in call.arrays.values()), 0)
        return calls

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        REQUEST_EXAMPLE_COUNTS.observe(self.model.name, value=self._examples)
        REQUEST_EXAMPLE_COUNT_TOTAL.add(self.model.name, amount=self._examples)
        return self._request.finish(servable, results)


def _micros_since(start: float) -> int:
    return int((time.perf_counter() - start) * 1e6)
