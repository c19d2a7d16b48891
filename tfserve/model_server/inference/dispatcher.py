"""Decides where a request runs: on the event loop, in a thread, or in a batch with others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.models.manager import Manager
from tfserve.model_server.runtime.servable import Servable

DRAIN_SECONDS = 9
"""How long running requests get to finish after a signal; orchestrators kill a process after 10 seconds."""

INLINE_BYTES = 1 << 16
"""Size of the largest request that can run on the event loop, with its tensors, and of the largest result there."""


class Dispatcher:
    """Answers the inference requests of all APIs.

    Requests to fast models run on the event loop: a thread would cost more than the model. All other requests run in
    threads, so that they do not delay each other. Large ones have threads of their own, for which small ones need not
    wait.

    A request on the event loop delays all other requests, and no time limit ends it. Two rules limit the delay: such a
    request has at most 64 KiB, and after one run of 10 ms or more the next requests use threads again.

    Requests to models with batching wait for their batch without occupying a thread.

    Args:
        manager: has the models.
        threads: how many small requests to slow models run at the same time, and how many large requests.
    """

    def __init__(self, manager: Manager, threads: int) -> None:
        self.manager = manager
        self._threads = ThreadPoolExecutor(max(1, threads), thread_name_prefix="inference")
        self._threads_of_large = ThreadPoolExecutor(max(1, threads), thread_name_prefix="large")

    async def answer(self, request: InferenceRequest) -> bytes:
        """Returns the body of the response to `request`.

        Raises:
            StatusError: the request is invalid, or its run failed.
        """
        with self.manager.use(request.model) as servable:
            if request.size > INLINE_BYTES:
                await request.parse(servable)
            if servable.batches:
                return await self._answer_in_batch(request, servable)
            threads = self._threads_of_large
            if request.size <= INLINE_BYTES:
                calls = request.prepare(servable)
                if sum([array.nbytes for call in calls for array in call.arrays.values()]) <= INLINE_BYTES:
                    threads = self._threads
                if all(servable.is_fast(call.signature) for call in calls):
                    results = [servable.run(*call, request.timeout_ms) for call in calls]
                    return await self._finish(request, servable, results)
        return await asyncio.get_running_loop().run_in_executor(threads, self._answer_in_thread, request)

    async def _answer_in_batch(self, request: InferenceRequest, servable: Servable) -> bytes:
        """Answers `request` as part of a batch; while it waits for the batch, it occupies no thread."""
        if request.size <= INLINE_BYTES:
            calls = request.prepare(servable)
        else:
            calls = await asyncio.get_running_loop().run_in_executor(self._threads_of_large, request.prepare, servable)
            request.release()
        return await self._finish(request, servable, await _run_in_batch(calls, servable, request))

    async def _finish(self, request: InferenceRequest, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns the response; a large one is made in a thread."""
        if sum([array.nbytes for outputs in results for array in outputs.values()]) <= INLINE_BYTES:
            return request.finish(servable, results)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads_of_large, request.finish, servable, results
        )

    def _answer_in_thread(self, request: InferenceRequest) -> bytes:
        """Answers `request` with a lease of its own.

        The thread keeps running after its caller is cancelled, and the servable must stay loaded until it has finished.
        """
        with self.manager.use(request.model) as servable:
            calls = list(request.prepare(servable))
            request.release()
            results = []
            while calls:
                results.append(servable.run(*calls.pop(0), request.timeout_ms))  # the arrays are freed after the run
            return request.finish(servable, results)


async def _run_in_batch(calls: Sequence[Call], servable: Servable, request: InferenceRequest) -> Sequence[Outputs]:
    return await asyncio.gather(*[servable.submit(*call, request.timeout_ms) for call in calls])
