"""Decides where a request runs: on the event loop, in a thread, or in a batch with others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.models.manager import Manager
from tfserve.model_server.runtime.servable import Servable

DRAIN_SECONDS = 9
"""How long requests may still run after a signal; orchestrators kill after 10."""

INLINE_BYTES = 1 << 16
"""Size of the largest request that may run on the event loop."""


class Dispatcher:
    """Answers requests for inference of all APIs.

    Requests to models that answer fast run right where they arrived: a thread would cost more than the model. All
    others run in threads, so that none of them holds up the rest.

    What runs where it arrived holds up all other requests, and no time limit ends it. Two rules bound the harm: the
    request has at most 64 KiB, and after one run of 10 ms or more the next ones go to threads again.

    Requests to models that batch wait for each other without a thread.

    Args:
        manager: where the models are.
        threads: how many requests to slow models run at the same time.
    """

    def __init__(self, manager: Manager, threads: int) -> None:
        self.manager = manager
        self._threads = ThreadPoolExecutor(max(1, threads), thread_name_prefix="inference")

    async def answer(self, request: InferenceRequest) -> bytes:
        """Returns the body of the response to `request`.

        Raises:
            StatusError: what is wrong with the request, or went wrong with the model.
        """
        with self.manager.use(request.model) as servable:
            if servable.batches:
                return await self._answer_in_batch(request, servable)
            if request.size <= INLINE_BYTES:
                calls = request.prepare(servable)
                if all(servable.is_fast(call.signature) for call in calls):
                    return request.finish(servable, [servable.run(*call, request.timeout_ms) for call in calls])
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer_in_thread, request)

    async def _answer_in_batch(self, request: InferenceRequest, servable: Servable) -> bytes:
        """Answers `request` together with others; a request that waits for them takes no thread."""
        if request.size <= INLINE_BYTES:
            return request.finish(servable, await _run_in_batch(request.prepare(servable), servable, request))
        loop = asyncio.get_running_loop()
        calls = await loop.run_in_executor(self._threads, request.prepare, servable)
        results = await _run_in_batch(calls, servable, request)
        return await loop.run_in_executor(self._threads, request.finish, servable, results)

    def _answer_in_thread(self, request: InferenceRequest) -> bytes:
        """Answers `request` with a servable of its own.

        The thread goes on when the request that waits for it is cancelled, and until it is done the servable must
        stay loaded.
        """
        with self.manager.use(request.model) as servable:
            calls = request.prepare(servable)
            return request.finish(servable, [servable.run(*call, request.timeout_ms) for call in calls])


async def _run_in_batch(calls: Sequence[Call], servable: Servable, request: InferenceRequest) -> Sequence[Outputs]:
    return await asyncio.gather(*[servable.submit(*call, request.timeout_ms) for call in calls])
