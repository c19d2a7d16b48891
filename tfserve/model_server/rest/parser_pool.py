"""Has large bodies parsed by other processes; see `parser_process`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from tfserve.model_server import log
from tfserve.model_server.rest.json_examples import ExamplesInput
from tfserve.model_server.rest.limits import INLINE_BYTES, LIGHT_BYTES, Limits
from tfserve.model_server.rest.memory_file import MemoryFile
from tfserve.model_server.rest.parsed_body import ParsedPredict, TooHeavyError, exhausted, read
from tfserve.model_server.rest.parser_process import COMMAND, END, FORK, MESSAGE, PREPARE
from tfserve.model_server.status import Code, StatusError

QUEUE_SECONDS = 20.0
"""How long a body waits for a parser before the request is refused."""

_PREPARE_SECONDS = 0.25  # after the start, when the first requests have been answered
_WALL_SECONDS = 3  # for each second of CPU time that a parser can use
_MOST_LIGHT = 2  # parsers of light bodies
_NO_FILES = "The server has too many open files to parse the body; send it again later"


class _Parser:
    """One parser process.

    Args:
        number: its number in commands.
        connection: the socket to it.
    """

    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number = number
        self.connection = connection

    async def parse(self, body: MemoryFile, header: bytes) -> tuple[MemoryFile, int, bytes]:
        """Returns the values of a body, their size, and their header.

        Raises:
            EOFError: the process has ended.
        """
        size = body.size
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()
        loop.add_reader(self.connection, answered.set)
        try:
            os.pwrite(body.descriptor, header, size)
            socket.send_fds(self.connection, [MESSAGE.pack(size, len(header))], [body.descriptor])
            await answered.wait()
            data, descriptors, _, _ = socket.recv_fds(self.connection, MESSAGE.size, 1)
        except OSError:
            raise EOFError from None
        finally:
            loop.remove_reader(self.connection)
        if not data:
            raise EOFError
        if not descriptors:  # the system leaves them out where the process cannot open more
            log.error("The values of a body cannot be received: too many open files")
            raise StatusError(Code.RESOURCE_EXHAUSTED, _NO_FILES)
        arrays, header_size = MESSAGE.unpack(data)
        result = MemoryFile(descriptors[0])
        return result, arrays, os.pread(result.descriptor, header_size, arrays)


class _Turns:
    """Lets a number of bodies be parsed at the same time, first come first served."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Waits for a turn; raises StatusError RESOURCE_EXHAUSTED if that takes too long."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait_for(asyncio.shield(turn), QUEUE_SECONDS)
        except BaseException as failure:
            if turn.done() and not turn.cancelled():
                self.give()
            turn.cancel()
            if isinstance(failure, (TimeoutError, asyncio.TimeoutError)):
                raise StatusError(
                    Code.RESOURCE_EXHAUSTED, "The server is parsing other large requests; send this one again later"
                ) from None
            raise

    def give(self) -> None:
        """Ends a turn."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class ParserPool:
    """The parsers of a server.

    Args:
        control: the socket that `parser_process.start` returned.
        limits: as given to it.
    """

    def __init__(self, control: socket.socket, limits: Limits) -> None:
        self._control = control
        self._limits = limits
        self._number = 0
        self._idle: list[_Parser] = []
        self._light = _Turns(min(_MOST_LIGHT, os.cpu_count() or 1))
        self._heavy = _Turns(1)

    def prepare(self) -> None:
        """Has a parser of light bodies made soon, for the first of them."""
        asyncio.get_running_loop().call_later(_PREPARE_SECONDS, self._prepare)

    async def parse(
        self, body: MemoryFile, gzipped: bool, kind: str, signatures: Mapping[str, Mapping[str, int]]
    ) -> ParsedPredict | ExamplesInput:
        """Parses a body.

        Args:
            body: JSON, maybe compressed; at least one byte.
            gzipped: whether it is compressed.
            kind: predict or examples.
            signatures: the inputs of each signature of the model: name -> alias -> ``DataType`` number.

        Raises:
            StatusError: the body is refused, or exceeds the limits of memory or time, or the server is busy.
            TooLargeError: the uncompressed body is too large.
        """
        request = {"gzip": gzipped, "kind": kind, "signatures": signatures, "heavy": body.size > LIGHT_BYTES}
        try:
            return await self._parse(body, request)
        except TooHeavyError:
            return await self._parse(body, request | {"heavy": True})

    async def _parse(self, body: MemoryFile, request: Mapping[str, Any]) -> ParsedPredict | ExamplesInput:
        heavy = request["heavy"]
        turns = self._heavy if heavy else self._light
        await turns.take()
        try:
            try:
                result, size, header = await self._ask(None if heavy else self._idle_parser(), body, request)
            except EOFError:
                ended = exhausted(self._limits, ended=True)
                log.error(f"A parser process was ended: {ended.message}")
                raise ended from None
        finally:
            turns.give()
        try:
            if size > INLINE_BYTES and b'"texts"' in header:  # which are copied one by one
                return await asyncio.to_thread(read, result, size, header)
            return read(result, size, header)
        finally:
            result.close()

    async def _ask(
        self, parser: _Parser | None, body: MemoryFile, request: Mapping[str, Any]
    ) -> tuple[MemoryFile, int, bytes]:
        """Has a parser that has nothing to do, or else a new one, parse a body; see `_Parser.parse`."""
        found = parser or self._fork()
        try:
            answer = await asyncio.wait_for(
                found.parse(body, orjson.dumps(request)), _WALL_SECONDS * self._limits.parse_seconds
            )
        except BaseException as failure:
            self._end(found)
            if parser is not None and isinstance(failure, EOFError):  # it may have ended before
                return await self._ask(None, body, request)
            if isinstance(failure, (TimeoutError, asyncio.TimeoutError)):
                raise EOFError from None
            raise
        if request["heavy"]:
            self._end(found)  # what it used goes back to the system
        else:
            self._idle.append(found)
        return answer

    def _prepare(self) -> None:
        with suppress(OSError, StatusError):
            self._control.send(COMMAND.pack(PREPARE, 0))
            if not self._idle:
                self._idle.append(self._fork())

    def _idle_parser(self) -> _Parser | None:
        return self._idle.pop() if self._idle else None

    def _fork(self) -> _Parser:
        self._number += 1
        try:
            ours, theirs = socket.socketpair()
        except OSError as failure:
            log.error(f"A parser process cannot be made: {failure}")
            raise StatusError(Code.RESOURCE_EXHAUSTED, _NO_FILES) from None
        ours.setblocking(False)
        try:
            socket.send_fds(self._control, [COMMAND.pack(FORK, self._number)], [theirs.fileno()])
        except OSError as failure:
            ours.close()
            log.error(f"The process that makes parsers has ended: {failure}")
            raise StatusError(
                Code.UNAVAILABLE, "The server cannot parse large requests until it is started again"
            ) from None
        finally:
            theirs.close()
        return _Parser(self._number, ours)

    def _end(self, parser: _Parser) -> None:
        parser.connection.close()
        with suppress(OSError):
            self._control.send(COMMAND.pack(END, parser.number))
