"""One HTTP/1.1 connection of the REST API: requests for an ASGI application, in order, and its answers back.

It does what this API needs and no more, which is why a request costs half of what it does in a general server: whole
bodies, responses of one piece, and no task for an application that answers without waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tfserve.model_server import log
from tfserve.model_server.rest.exchange import STATUS_LINES, App, Exchange, resumed
from tfserve.model_server.rest.request_reader import NoRequestError, RequestReader

LINGER_SECONDS = 2.0
"""How long a client may go on sending a body that was refused; closing earlier could lose it the answer."""

_MAX_BUFFERED_BYTES = 1 << 18
_MAX_ANSWERS_IN_A_ROW = 16  # to pipelined requests, before other connections get their turn


class Shared:
    """What the connections of one socket share.

    Args:
        app: the application that answers.

    Attributes:
        app: the same.
        date: the header line ``Date``, of the current second.
        connections: those that are open.
        tasks: requests that wait for something.
        stopping: whether each connection is to end with the request that runs.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.date = b""
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = False


class Connection(asyncio.Protocol):
    """A client's connection.

    Args:
        server: what it shares with the others.

    Attributes:
        server: the same.
        lost: whether the client is gone.
        last_seen: when the client last did its part, in the loop's time.
    """

    def __init__(self, server: Shared) -> None:
        self.server = server
        self.lost = False
        self.last_seen = 0.0
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self)
        self._transport: asyncio.Transport
        self._current: Exchange | None = None  # the one that is being answered
        self._next: deque[Exchange] = deque()
        self._refusal: NoRequestError | None = None  # the last thing to be said, when what came is no HTTP
        self._ended = False  # nothing more will come, or be listened to
        self._reading = True
        self._writing = True

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = transport  # type: ignore[assignment]  # a socket's
        self.last_seen = self._loop.time()
        self.server.connections.add(self)

    def connection_lost(self, failure: Exception | None) -> None:
        """Tells the request that runs, which may wait for its client."""
        self.lost = True
        self.server.connections.discard(self)
        self._next.clear()
        if self._current is not None:
            self._current.wake()

    def data_received(self, data: bytes) -> None:
        """Reads what came, and answers what is there to be answered."""
        self.last_seen = self._loop.time()
        if self._ended:
            return
        try:
            self._reader.feed(data)
        except NoRequestError as refusal:
            self._end(refusal if refusal.status else None)
        self._go_on()
        incoming = self._reader.incoming
        if incoming is not None and incoming.buffered > _MAX_BUFFERED_BYTES:
            self._pause_reading()

    def eof_received(self) -> bool:
        """Keeps the connection for the answers to what was asked; what is incomplete never will be."""
        self._end(None)
        return bool(self._next) or (self._current is not None and not self._current.answered)

    def pause_writing(self) -> None:
        """Takes no more from a client that does not take its answers."""
        self._writing = False
        self._pause_reading()

    def resume_writing(self) -> None:
        """Goes on."""
        self._writing = True
        self.last_seen = self._loop.time()
        self.resume_reading()
        self._go_on()

    # What the reader of requests calls.

    def begin_request(self, request: Exchange) -> None:
        """Takes a request whose head is there, and whose body may follow."""
        self._next.append(request)

    def withdraw_request(self) -> None:
        """Forgets the last request; it comes again."""
        self._next.pop()

    def end_request(self, request: Exchange) -> None:
        """Takes the end of a request, which may be answered already."""
        request.complete = True
        if request.answered:
            self._finish(request)
        else:
            request.wake()

    # What exchanges and the server ask.

    @property
    def closing(self) -> bool:
        """Whether the server ends, and every connection with the request that runs."""
        return self.server.stopping

    @property
    def date(self) -> bytes:
        """The header line ``Date``."""
        return self.server.date

    def write(self, data: bytes) -> None:
        """Sends bytes, unless the client is gone."""
        if not self.lost:
            self._transport.write(data)

    def resume_reading(self) -> None:
        """Lets more bytes come, if they were held back."""
        if not self._reading and self._writing and not self.lost and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def close_if_idle(self) -> None:
        """Ends the connection unless a request is in it, which then is the last one."""
        if self._current is None and not self._next:
            self._transport.close()

    def give_up_incoming(self) -> None:
        """Waits no longer for the rest of a request; what is whole is still answered."""
        if self._reader.incoming is not None and not self._ended:
            self._end(None)
            self.close_if_idle()

    def close_if_silent(self, since: float) -> None:
        """Ends the connection if it waits for a client that was last seen before `since`."""
        waits = self._current is None or self._current is self._reader.incoming or not self._writing
        if waits and self.last_seen < since:
            self._transport.abort()

    # Answering.

    def _go_on(self) -> None:
        """Starts what is to be answered next, one request after the other."""
        for _ in range(_MAX_ANSWERS_IN_A_ROW):
            if self._current is not None or not self._writing or self.lost:
                return
            if not self._next:
                if self._refusal is not None:
                    self._refuse(self._refusal)
                elif self._ended:
                    self._transport.close()
                else:
                    self.resume_reading()
                return
            self._start(self._next.popleft())
        if self._next:
            self._pause_reading()
            self._loop.call_soon(self._go_on)

    def _start(self, request: Exchange) -> None:
        """Runs the application, here as long as it need not wait, and in a task from then on."""
        self._current = request
        application = self.server.app(request.scope, request.receive, request.send)
        try:
            awaited = application.send(None)
        except StopIteration:
            self._done(request)
        except Exception as failure:
            self._fail(failure)
        else:
            task = self._loop.create_task(resumed(application, awaited))
            self.server.tasks.add(task)
            task.add_done_callback(lambda task: self._task_done(request, task))
            if self._next:
                self._pause_reading()

    def _task_done(self, request: Exchange, task: asyncio.Task[None]) -> None:
        self.server.tasks.discard(task)
        self.last_seen = self._loop.time()
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._fail(failure)
        self._done(request)
        self._go_on()

    def _done(self, request: Exchange) -> None:
        """Goes on to the next request once this one is answered, and all of it was read."""
        if not request.answered:  # the rest of it never came
            self._current = None
            if self._refusal is None:
                self._transport.abort()
        elif request.complete:
            self._finish(request)
        elif not request.keep_alive:
            self._close_gently()
        else:
            self.resume_reading()

    def _finish(self, request: Exchange) -> None:
        self._current = None
        if not request.keep_alive:
            self._ended = True
            self._next.clear()
            self._refusal = None
            self._transport.close()

    def _fail(self, failure: BaseException) -> None:
        log.error(f"{type(failure).__name__} in the application: {failure}")
        self._transport.abort()

    def _end(self, refusal: NoRequestError | None) -> None:
        """Listens no more; says why once all that was asked before is answered."""
        self._ended = True
        self._refusal = refusal
        incoming, self._reader.incoming = self._reader.incoming, None
        if incoming is not None and incoming is not self._current:
            self._next.remove(incoming)
        elif incoming is not None:
            incoming.broken = True
            incoming.wake()

    def _refuse(self, refusal: NoRequestError) -> None:
        body = b'{\n    "error": "%b"\n}' % refusal.reason.encode()
        head = b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        self.write(STATUS_LINES[refusal.status] + self.server.date + head + body)
        self._refusal = None
        self._close_gently()

    def _close_gently(self) -> None:
        """Says that nothing more will come, and drops what the client still sends until it has read that."""
        self.resume_reading()
        self._transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def _pause_reading(self) -> None:
        if self._reading and not self.lost and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()
