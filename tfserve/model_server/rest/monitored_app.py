"""The REST API with metrics: serves the metrics page, and records the requests that are not inference."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tfserve.model_server import turns
from tfserve.model_server.monitoring.metrics import METRICS, REQUEST_COUNT, REQUEST_LATENCY
from tfserve.model_server.monitoring.prometheus import page
from tfserve.model_server.rest.app import INFERENCE, NoSuchPageError, RestApp, Route, answer, route_of_scope
from tfserve.model_server.rest.bodies import LargeBody, RefusedBodyError
from tfserve.model_server.rest.exchange import LARGE_RESPONSE, Headers, Receive, Scope, Send
from tfserve.model_server.status import Code, StatusError

_PLAIN_TEXT = (b"content-type", b"text/plain")


class MonitoredRestApp(RestApp):
    """The ASGI application with a metrics page.

    The official server records every request to the REST API; `MonitoredDispatcher` records the inference requests.
    Source: ``http_server.cc`` of TensorFlow Serving.

    Args:
        metrics_path: the path of the page; it takes precedence over the paths of the API.
        arguments: the arguments of `RestApp`.
    """

    def __init__(self, metrics_path: str, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._metrics_path = metrics_path.encode()
        self._next_page: asyncio.Future[bytes] | None = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["raw_path"] == self._metrics_path:
            await self._show(scope, receive, send)
            return
        try:
            route_of_scope(scope)
        except NoSuchPageError:
            pass
        except StatusError as failure:
            REQUEST_COUNT.add("", failure.code.name)
        await super()._answer(scope, receive, send)

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the metrics page; a query is an error."""
        if query := scope["query_string"]:
            path = self._metrics_path
            await answer(send, 400, b"Unexpected path: %b?%b. Should be %b" % (path, query, path), _PLAIN_TEXT)
            return
        content = await self._page()
        if len(content) < LARGE_RESPONSE:
            await answer(send, 200, content, _PLAIN_TEXT)
            return
        try:
            room = await self._bodies.room_for_response(len(content), receive)
        except RefusedBodyError as refusal:
            await answer(send, refusal.status, str(refusal).encode(), _PLAIN_TEXT)
            return
        try:
            await answer(send, 200, content, _PLAIN_TEXT)
        finally:
            room.release()

    async def _page(self) -> bytes:
        """Returns the page; those who wait for their turn get the same one, made after they have asked for it."""
        if turns.begin():
            return page(METRICS)
        if self._next_page is None:
            self._next_page = asyncio.get_running_loop().create_future()
            turns.add(self._make_page)
        return await asyncio.shield(self._next_page)

    def _make_page(self) -> None:
        made, self._next_page = self._next_page, None
        if made is not None and not made.done():
            made.set_result(page(METRICS))

    async def _respond(self, route: Route, headers: Headers, body: bytes | LargeBody) -> bytes:
        if route.action in INFERENCE:
            return await super()._respond(route, headers, body)
        start = time.perf_counter()
        try:
            content = await super()._respond(route, headers, body)
        except StatusError as failure:
            REQUEST_COUNT.add(route.model.name, failure.code.name)
            raise
        micros = int((time.perf_counter() - start) * 1e6)
        REQUEST_LATENCY.observe(route.model.name, "", "REST", value=micros)
        REQUEST_COUNT.add(route.model.name, Code.OK.name)
        return content
