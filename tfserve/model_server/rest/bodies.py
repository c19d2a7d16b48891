"""Reads the bodies of REST requests: small ones into memory, large ones into files for a parser process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tfserve.model_server import log, turns
from tfserve.model_server.rest.body_budget import BodyBudget, Reservation
from tfserve.model_server.rest.exchange import Exchange, Receive, Scope, exchange_of
from tfserve.model_server.rest.gunzip import TooLargeError, gunzip
from tfserve.model_server.rest.json_body import check
from tfserve.model_server.rest.json_examples import ExamplesInput
from tfserve.model_server.rest.limits import INLINE_BYTES, Limits
from tfserve.model_server.rest.memory_file import MemoryFile
from tfserve.model_server.rest.parsed_body import ParsedPredict
from tfserve.model_server.rest.parser_pool import ParserPool
from tfserve.model_server.status import HTTP_STATUS, StatusError

_MAX_LENGTH_DIGITS = 19
_QUICK_BYTES = 1 << 10  # of a body that is parsed, and whose request is prepared, in less than 1 ms
_QUICK_MARKS = 128  # commas and openings in such a body, if it is larger
_FIRST_BYTES = 1 << 20  # of a body without a length, for which room is taken first


class RefusedBodyError(Exception):
    """A body that is not read to its end, after which the connection is closed.

    Args:
        status: the HTTP status of the response.
        message: what is wrong.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LargeBody:
    """A body that a parser process is to parse.

    Args:
        file: the body.
        gzipped: whether it is compressed.
        room: the room that it takes.
        pool: the parsers.
        limit: how large it can be when it is uncompressed, in bytes.
    """

    def __init__(self, file: MemoryFile, gzipped: bool, room: Reservation, pool: ParserPool, limit: int) -> None:
        self._file = file
        self._gzipped = gzipped
        self._room = room
        self._pool = pool
        self._limit = limit

    @property
    def size(self) -> int:
        """How many bytes it has, compressed or not; more than a body that is parsed in memory."""
        return max(self._file.size, INLINE_BYTES + 1)

    async def parse(
        self, kind: str, signatures: Mapping[str, Mapping[str, int]]
    ) -> ParsedPredict | ExamplesInput | StatusError:
        """Parses the body, and frees it; see `ParserPool.parse`. Returns an error instead of raising it.

        Raises:
            RefusedBodyError: the uncompressed body is too large.
        """
        try:
            parsed = await self._pool.parse(self._file, self._gzipped, kind, signatures)
        except StatusError as failure:
            return failure
        except TooLargeError:
            raise too_large(self._limit) from None
        finally:
            self._file.close()
        if isinstance(parsed, ParsedPredict):
            self._room.resize(sum(array.nbytes for array in parsed.request.arrays.values()))
        return parsed

    def respond(self, size: int, exchange: Exchange | None) -> None:
        """Takes room for the response instead, until `close`; `exchange` is the one that it will be sent on."""
        if exchange is None:
            self._room.resize(size)
        else:
            self._room.sending(size, exchange.unsent)

    def close(self) -> None:
        """Frees the body and its room."""
        self._file.close()
        self._room.release()


class Bodies:
    """Reads bodies.

    Args:
        limits: of the bodies.
        pool: parses the large ones.
    """

    def __init__(self, limits: Limits, pool: ParserPool) -> None:
        self._limits = limits
        self._limit = limits.body_bytes
        self._in_memory = Limits(body_bytes=min(INLINE_BYTES, limits.body_bytes))
        self._pool = pool
        self._budget = BodyBudget(limits.inflight_bytes)

    async def read(self, scope: Scope, receive: Receive) -> bytes | LargeBody:
        """Returns the body of a request; a small one is uncompressed.

        Raises:
            RefusedBodyError: it is too large, or too slow, or there is no room for it.
            StatusError: INVALID_ARGUMENT, it cannot be uncompressed, or is small and exceeds the limits of JSON.
            ConnectionError: the rest of it will never arrive.
        """
        length, gzipped = None, False
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = _length(value)
            elif name == b"content-encoding":
                gzipped = b"gzip" in value
        if length is not None and length > self._limit:
            raise too_large(self._limit)
        start = b""
        if length is None or length <= INLINE_BYTES:
            start, complete = await self._read_small(receive)
            if complete:
                body: bytes | None = start
                if gzipped and start:
                    body = await self._uncompressed(start)
                elif len(start) > _QUICK_BYTES and not _is_quickly_parsed(start):
                    await turns.take()
                if body is None:
                    return await self._large(start, receive)
                check(body, self._limits)
                return body
        return await self._read_large(start, length or 0, gzipped, receive)

    async def _read_small(self, receive: Receive) -> tuple[bytes, bool]:
        """Returns the body, or a part of it that is more than `INLINE_BYTES`; and whether it is complete."""
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            body += message.get("body", b"")
            if len(body) > self._limit:
                raise too_large(self._limit)
            complete = not message.get("more_body", False)
            if complete and len(body) <= INLINE_BYTES:
                return body, True
            if len(body) > INLINE_BYTES:
                return body, False

    async def _uncompressed(self, packed: bytes) -> bytes | None:
        """Returns a small body uncompressed, or None if it is then too large to be parsed in memory.

        What takes long waits for its turn before, which is then also that for parsing the body.
        """
        waited = len(packed) > _QUICK_BYTES
        if waited:
            await turns.take()
        try:
            body = b"".join(gunzip(packed, self._in_memory))
        except TooLargeError:
            if self._limit <= INLINE_BYTES:
                raise too_large(self._limit) from None
            return None
        if not waited and not _is_quickly_parsed(body):
            await turns.take()
        return body

    async def _large(self, body: bytes, receive: Receive) -> LargeBody:
        """Returns a small body that becomes a large one."""
        room = self._room(receive)
        with _new_file(room) as file:
            await _reserve(room, len(body))
            file.write(body)
        return LargeBody(file, True, room, self._pool, self._limit)

    async def _read_large(self, start: bytes, length: int, gzipped: bool, receive: Receive) -> LargeBody:
        """Reads the rest of a body after `start`; if `length` is not 0, it is that of the whole body."""
        room = self._room(receive)
        with _new_file(room) as file:
            await self._copy(start, length, file, room, receive)
        room.resize(file.size)
        return LargeBody(file, gzipped, room, self._pool, self._limit)

    async def _copy(self, start: bytes, length: int, file: MemoryFile, room: Reservation, receive: Receive) -> None:
        reserved = length or _FIRST_BYTES
        await _reserve(room, reserved)
        room.receiving(len(start))
        file.write(start)
        # A part of the body can have been received, and all of it, so a last message without bytes can follow.
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                if room.refused:
                    raise RefusedBodyError(408, "The body arrived too slowly while other requests waited")
                raise ConnectionResetError
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            size = file.size + len(chunk)
            if size > self._limit:
                raise too_large(self._limit)
            if size > reserved:
                reserved = min(max(size, 2 * reserved), self._limit)
                await _reserve(room, reserved)
            room.receiving(len(chunk))
            file.write(chunk)

    async def room_for_response(self, size: int, receive: Receive) -> Reservation:
        """Waits for room for a large response to a small body; it is to be released.

        Raises:
            RefusedBodyError: there is none.
        """
        room = self._room(receive)
        await _reserve(room, size)
        if (exchange := exchange_of(receive)) is not None:
            room.sending(size, exchange.unsent)
        return room

    def _room(self, receive: Receive) -> Reservation:
        exchange = exchange_of(receive)
        return self._budget.reservation(_nothing if exchange is None else exchange.interrupt)


def too_large(limit: int) -> RefusedBodyError:
    """Returns the error for a body of more than `limit` bytes."""
    return RefusedBodyError(
        413, f"The request body is larger than {limit} bytes, the limit of this server (--rest_api_max_body_bytes)"
    )


@contextmanager
def _new_file(room: Reservation) -> Iterator[MemoryFile]:
    """Yields a new file for a body; if the body cannot be written to it, closes it and releases the room of the body.

    Raises:
        RefusedBodyError: no file can be created, or there is no memory for it.
    """
    file: MemoryFile | None = None
    try:
        file = MemoryFile()
        yield file
    except BaseException as failure:
        if file is not None:
            file.close()
        room.release()
        if isinstance(failure, OSError) and not isinstance(failure, ConnectionError):
            log.error(f"A body cannot be kept: {failure}")
            raise RefusedBodyError(429, "The server has no memory for the body") from None
        raise


async def _reserve(room: Reservation, size: int) -> None:
    try:
        await room.reserve(size)
    except StatusError as failure:
        raise RefusedBodyError(HTTP_STATUS[failure.code], failure.message) from None


def _is_quickly_parsed(body: bytes) -> bool:
    """Returns whether a body of at most `INLINE_BYTES` has so few values that it needs no turn."""
    if len(body) <= _QUICK_BYTES:
        return True
    if body.count(b",", 0, _QUICK_BYTES) > _QUICK_MARKS // 4:  # most of those that are not
        return False
    return body.count(b",") + body.count(b"[") + body.count(b"{") <= _QUICK_MARKS


def _nothing() -> None:
    """Is called where the application server cannot interrupt a request."""


def _length(value: bytes) -> int:
    """Returns the length in a header whose digits have been checked; the largest possible for one with too many."""
    digits = value.strip().lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _MAX_LENGTH_DIGITS else 1 << 63
