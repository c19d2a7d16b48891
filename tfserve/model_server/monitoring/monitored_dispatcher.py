"""Counts and times the inference requests of all APIs, if metrics are enabled."""

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
_MULTI_INFERENCE = "MultiInference"  # the official server only records its number of examples


class MonitoredDispatcher(Dispatcher):
    """A dispatcher that records its requests, as the official server does.

    Sources: ``http_server.cc``, ``prediction_service_impl.cc``, ``predict_util.cc`` and ``multi_inference.cc`` of
    TensorFlow Serving.
    """

    async def answer(self, request: InferenceRequest) -> bytes:
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
        # The official server takes the method from the path of a REST request, where it is in lower case.
        api = request.api.lower() if request.entrypoint == "REST" else request.api
        REQUEST_LATENCY.observe(request.model.name, api, request.entrypoint, value=_micros_since(start))
        REQUEST_COUNT.add(request.model.name, Code.OK.name)
        return body


class _Wrapped(InferenceRequest):
    """A request that forwards to another one and records values."""

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request
        self.api = request.api
        self.entrypoint = request.entrypoint
        self.model = request.model
        self.size = request.size
        self.timeout_ms = request.timeout_ms

    async def parse(self, servable: Servable) -> None:
        await self._request.parse(servable)

    def release(self) -> None:
        self._request.release()


class _TimedRequest(_Wrapped):
    """Records the time from `prepare` to `finish`, in which the model runs."""

    _start = 0.0

    def prepare(self, servable: Servable) -> Sequence[Call]:
        calls = self._request.prepare(servable)
        self._start = time.perf_counter()
        return calls

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        RUNTIME_LATENCY.observe(self.model.name, self.api, _RUNTIME, value=_micros_since(self._start))
        return self._request.finish(servable, results)


class _CountedRequest(_Wrapped):
    """Records the number of examples."""

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
