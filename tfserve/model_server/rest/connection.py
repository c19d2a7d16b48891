"""One HTTP/1.1 connection of the REST API: passes requests to an ASGI application in order, and sends its responses.

It supports only what this API needs, so a request costs half of what it does in a general server: responses in one
piece, and no task for an application that answers without waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tfserve.model_server import log, turns
from tfserve.model_server.rest.exchange import STATUS_LINES, Exchange, resume
from tfserve.model_server.rest.request_reader import BadRequestError, RequestReader
from tfserve.model_server.rest.server_state import ServerState

LINGER_SECONDS = 2.0
"""How long a client can keep sending after a refused request; closing earlier could lose the response."""

_MAX_BUFFERED_BYTES = 1 << 18
_MAX_PENDING = 16  # requests
_MAX_PENDING_BYTES = 1 << 16  # of their bodies
_PIECE = 1 << 12  # how many bytes are parsed at once: of tiny headers, chunks or requests, this takes about 2 ms
_BODY_PIECE = 1 << 18  # of a body whose length is known, which is only copied


class Connection(asyncio.Protocol):
    """The connection of a client.

    Args:
        server: the state that all connections share.

    Attributes:
        server: the shared state.
        lost: whether the connection has been closed.
        last_active: when the client last sent or accepted data, in the time of the loop.
    """

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.lost = False
        self.last_active = 0.0
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self, server.limits)
        self._unparsed: bytes | memoryview = b""
        self._bytes_ahead = 0  # its part of those of the server
        self._has_turn = False  # whether the next piece is being parsed, or will be in turn
        self._answers_in_turn = False  # whether the next pending request is answered in turn
        self._drained: asyncio.Future[None] | None = None  # is set when the client has read a response
        self._transport: asyncio.Transport
        self._current: Exchange | None = None  # the request that is being answered
        self._pending: deque[Exchange] = deque()
        self._refusal: BadRequestError | None = None  # is sent last, after an invalid request
        self._input_ended = False  # all further input is ignored
        self._reading = True
        self._writing = True

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a socket's
        self.last_active = self._loop.time()
        self.server.connections.add(self)

    def connection_lost(self, failure: Exception | None) -> None:
        self.lost = True
        self.server.connections.discard(self)
        self._pending.clear()
        self._unparsed = b""
        self.server.bytes_ahead -= self._bytes_ahead
        self._bytes_ahead = 0
        self._wake_writer()
        if self._current is not None:
            self._current.discard()

    def data_received(self, data: bytes) -> None:
        self.last_active = self._loop.time()
        if self._input_ended:
            return
        if len(data) <= _PIECE and not self._unparsed:
            self._feed(data)
            self._process_pending()
        else:
            self._unparsed = memoryview(b"".join((self._unparsed, data)) if self._unparsed else data)
            if not self._has_turn and turns.begin():
                self._has_turn = True
                self._parse_pieces()
                self._has_turn = False
        if self._unparsed:
            self._pause_reading()
            self.resume_reading()
        elif self._is_ahead():
            self._pause_reading()
        if self._unparsed or self._pending:
            self._count_bytes_ahead()

    def _parse_in_turn(self) -> None:
        """Parses the next of what has arrived, and waits for another turn if one is needed."""
        self._parse_pieces()
        self._has_turn = bool(self._unparsed) and not self._is_ahead()
        if self._has_turn:
            turns.add(self._parse_in_turn)
        elif not self._unparsed and not self._is_ahead() and not self._pending:
            self.resume_reading()
        self._count_bytes_ahead()

    def _parse_pieces(self) -> None:
        """Parses what has arrived, which takes long if it has many tiny headers, chunks or requests."""
        while self._unparsed and not self._is_ahead():
            size = max(_PIECE, min(self._reader.remaining, _BODY_PIECE))
            piece, self._unparsed = self._unparsed[:size], self._unparsed[size:]
            if not self._unparsed:
                self._unparsed = b""  # frees what it was a part of
            self._feed(piece)
            if self._unparsed and self._reader.remaining and not self._is_ahead():
                continue  # a request that has arrived with its body needs no task to wait for it
            self._process_pending()
            if not turns.begin():
                return

    def _count_bytes_ahead(self) -> None:
        """Counts what waits for the answer to a complete request; drops it if that is too much of all clients."""
        now = 0
        if self._current is not None and self._current.complete:
            now = len(self._unparsed) + self._pending_bytes()
        self.server.bytes_ahead += now - self._bytes_ahead
        self._bytes_ahead = now
        if now and self.server.is_too_far_ahead():
            self._end_input(None)
            self._pending.clear()
            self._count_bytes_ahead()

    def _pending_bytes(self) -> int:
        return sum([request.buffered for request in self._pending])

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self._reader.feed(data)
        except BadRequestError as refusal:
            self._end_input(refusal if refusal.status else None)

    def _is_ahead(self) -> bool:
        """Whether the client has sent enough, until some of it is processed."""
        incoming = self._reader.incoming
        return (
            not self._writing
            or (bool(self._pending) and self._has_enough_pending())
            or (incoming is not None and not incoming.answered and incoming.buffered > _MAX_BUFFERED_BYTES)
        )

    def _has_enough_pending(self) -> bool:
        return len(self._pending) >= _MAX_PENDING or self._pending_bytes() > _MAX_PENDING_BYTES

    def eof_received(self) -> bool:
        """Keeps the connection open if requests are still to be answered; an incomplete request is dropped."""
        self._end_input(None)
        return bool(self._pending) or (self._current is not None and not self._current.answered)

    def pause_writing(self) -> None:
        """Stops reading from a client that does not read its responses."""
        self._writing = False
        self._pause_reading()

    def resume_writing(self) -> None:
        self._writing = True
        self.last_active = self._loop.time()
        self._wake_writer()
        self.resume_reading()
        self._process_pending()

    # Called by the reader.

    def begin_request(self, request: Exchange) -> None:
        self._pending.append(request)

    def withdraw_request(self) -> None:
        self._pending.pop()

    def end_request(self, request: Exchange) -> None:
        request.complete = True
        if request.answered:
            self._finish(request)
        else:
            request.wake()

    # Called by exchanges and the server.

    @property
    def closing(self) -> bool:
        return self.server.stopping

    @property
    def date(self) -> bytes:
        return self.server.date

    def write(self, data: bytes) -> None:
        if not self.lost:
            self._transport.write(data)

    def abort(self) -> None:
        self._transport.abort()

    def unsent(self) -> int:
        return 0 if self.lost else self._transport.get_write_buffer_size()

    async def drained(self) -> None:
        await asyncio.sleep(0)  # the event loop writes at the end of its turn
        if not self._writing and not self.lost:
            self._drained = self._loop.create_future()
            await self._drained

    def _wake_writer(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def resume_reading(self) -> None:
        if self._unparsed:
            if not self._has_turn and not self._is_ahead():
                self._has_turn = True
                turns.add(self._parse_in_turn)
        elif not self._reading and self._writing and not self.lost and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def close_if_idle(self) -> None:
        """Closes the connection unless it has a request, which then is its last one."""
        if self._current is None and not self._pending:
            self._transport.close()

    def abandon_incoming(self) -> None:
        """Stops waiting for the rest of an incomplete request; complete requests are still answered."""
        if self._reader.incoming is not None and not self._input_ended:
            self._end_input(None)
            self.close_if_idle()

    def abort_if_idle(self, since: float) -> None:
        """Aborts the connection if it is waiting for its client, which was last active before `since`."""
        waiting = self._current is None or self._current is self._reader.incoming or not self._writing
        if waiting and self.last_active < since:
            self._transport.abort()

    # Answering.

    def _process_pending(self) -> None:
        """Starts the next requests, one after the other, as long as that does not delay other connections."""
        while True:
            if self._current is not None or not self._writing or self.lost:
                return
            if not self._pending:
                if self._refusal is not None:
                    self._refuse(self._refusal)
                elif self._input_ended:
                    self._transport.close()
                else:
                    self.resume_reading()
                return
            self._start(self._pending.popleft())
            if self._pending and not turns.begin():
                break
        if not self._answers_in_turn:
            self._answers_in_turn = True
            turns.add(self._process_in_turn)

    def _process_in_turn(self) -> None:
        self._answers_in_turn = False
        self._process_pending()
        if self._bytes_ahead:
            self._count_bytes_ahead()

    def _start(self, request: Exchange) -> None:
        """Runs the application: here until it first waits, and in a task from then on."""
        self._current = request
        application = self.server.app(request.scope, request.receive, request.send)
        try:
            awaited = application.send(None)
        except StopIteration:
            self._end_response(request)
        except Exception as failure:
            self._fail(failure)
        else:
            task = self._loop.create_task(resume(application, awaited))
            self.server.tasks.add(task)
            task.add_done_callback(lambda task: self._end_task(request, task))
            if self._pending:
                self._pause_reading()

    def _end_task(self, request: Exchange, task: asyncio.Task[None]) -> None:
        self.server.tasks.discard(task)
        self.last_active = self._loop.time()
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._fail(failure)
        self._end_response(request)
        self._process_pending()
        if self._bytes_ahead:
            self._count_bytes_ahead()

    def _end_response(self, request: Exchange) -> None:
        """Finishes a request after the application has returned, unless the rest of its body is still to be read."""
        if not request.answered:  # the rest of the request never arrived
            self._current = None
            if self._refusal is None:
                self._transport.abort()
        elif request.complete:
            self._finish(request)
        elif not request.keep_alive:
            self._linger()
        else:
            self.resume_reading()

    def _finish(self, request: Exchange) -> None:
        self._current = None
        if not request.keep_alive:
            self._input_ended = True
            self._unparsed = b""
            self._pending.clear()
            self._refusal = None
            self._transport.close()

    def _fail(self, failure: BaseException) -> None:
        log.error(f"{type(failure).__name__} in the application: {failure}")
        self._transport.abort()

    def _end_input(self, refusal: BadRequestError | None) -> None:
        """Ignores all further input; `refusal` is sent once all earlier requests are answered."""
        self._input_ended = True
        self._unparsed = b""
        self._refusal = refusal
        incoming, self._reader.incoming = self._reader.incoming, None
        if incoming is not None and incoming is not self._current:
            self._pending.remove(incoming)
        elif incoming is not None:
            incoming.truncated = True
            incoming.wake()

    def _refuse(self, refusal: BadRequestError) -> None:
        body = b'{\n    "error": "%b"\n}' % refusal.reason.encode()
        head = b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        self.write(STATUS_LINES[refusal.status] + self.server.date + head + body)
        self._refusal = None
        self._linger()

    def _linger(self) -> None:
        """Closes the connection for writing, and discards what the client sends until it has read the response."""
        self.resume_reading()
        self._transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def _pause_reading(self) -> None:
        if self._reading and not self.lost and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()
