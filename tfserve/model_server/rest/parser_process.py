"""The processes that parse large JSON bodies, so that it cannot stop the server or exhaust its memory.

JSON parsers keep Python's interpreter to themselves, and make objects that take twenty times the memory of the text. So
before the server has threads, it forks a process that forks parsers: each gets bodies from the server one by one, with
limits of memory and CPU time, and can be ended at any time.

Messages have a fixed size, and one descriptor: of the parser's socket, or of a `MemoryFile` that has a body or the
values of its arrays, and after these a header in JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from tfserve.model_server import log, memory
from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.rest.memory_file import MemoryFile

COMMAND = struct.Struct("=ci")
"""A command to the process that forks: its letter, and the number of the parser."""

FORK, END, PREPARE = b"F", b"K", b"P"
"""Fork a parser, end one, or load the modules that parsers need."""

MESSAGE = struct.Struct("=QQ")
"""To and from a parser: how many bytes the body or the arrays have, and how many the header after them."""

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
_MAX_DESCRIPTOR = 1 << 16  # if the system sets no limit
_PRECISION = 1 << 20  # of the size of a process, in bytes
_QUIET_SECONDS = 1.0  # until a parser that has nothing to do gives its memory back


def start(limits: Limits) -> socket.socket:
    """Forks the process that forks parsers; returns the socket for its commands.

    It must be called before the server has threads. The process ends when the socket is closed, or with the server.
    """
    control, theirs = socket.socketpair()
    if os.fork() == 0:
        _become_parent(theirs, limits)
    theirs.close()
    return control


def _become_parent(control: socket.socket, limits: Limits) -> NoReturn:
    try:
        _close_all_but(control.fileno())
        _end_with_parent()
        _leave_directory()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the server decides when it ends
        _fork_on_command(control, limits)
    except BaseException as failure:
        log.error(f"The process that makes parsers has failed: {type(failure).__name__}: {failure}")
        os._exit(1)
    os._exit(0)


def _fork_on_command(control: socket.socket, limits: Limits) -> None:
    """Forks and ends parsers as the server asks, until it closes the socket.

    A parser that cannot be forked loses only its body: the server finds the socket to it closed.
    """
    parsers: dict[int, int] = {}
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, COMMAND.size, 1)
        if not data:
            return
        command, number = COMMAND.unpack(data)
        if command == END:
            _end(parsers.pop(number, None))
        elif command == FORK and not descriptors:
            log.error("A parser process cannot be made: too many open files")
        else:
            pid = _forked(fork=command == FORK)
            if pid == 0:
                control.close()
                _become_parser(socket.socket(fileno=descriptors[0]), limits)
            if pid is not None:
                parsers[number] = pid
        for descriptor in descriptors:
            os.close(descriptor)


def _end(pid: int | None) -> None:
    """Ends a parser, unless it could not be forked."""
    if pid is not None:
        os.kill(pid, signal.SIGKILL)  # it may have exited already, but its number is taken until it is waited for
        os.waitpid(pid, 0)


def _forked(fork: bool) -> int | None:
    """Prepares, and forks if `fork`; returns the pid as `os.fork` does, or None if there is no other process."""
    try:
        _prepare()
        return os.fork() if fork else None
    except (OSError, MemoryError, ImportError) as failure:  # such as a limit of processes, or of memory
        log.error(f"A parser process cannot be made: {type(failure).__name__}: {failure}")
        return None


def _prepare() -> None:
    """Loads what parsers need; BLAS must not start threads, which a fork would lose."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import tfserve.model_server.rest.json_slices
    import tfserve.model_server.rest.parsed_body  # noqa: F401

    gc.disable()  # parsing makes no cycles, only many objects to look through
    gc.freeze()


def _close_all_but(kept: int) -> None:
    """Closes every descriptor from 3 on but one: a file or a lock of the server must not outlive it."""
    os.closerange(3, kept)
    os.closerange(kept + 1, max(os.sysconf("SC_OPEN_MAX"), _MAX_DESCRIPTOR))


def _leave_directory() -> None:
    """Leaves the working directory, which belongs to the server; modules are still found where they were."""
    sys.path[:] = map(os.path.abspath, sys.path)
    os.chdir("/")


def _end_with_parent() -> None:
    """Has the system end this process when its parent ends, where it can."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _become_parser(connection: socket.socket, limits: Limits) -> NoReturn:
    try:
        _end_with_parent()
        _prefer_as_victim()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # orjson aborts when it gets no memory
        own_size = _address_space()
        while True:
            if not select.select([connection], [], [], _QUIET_SECONDS)[0]:
                memory.trim()
            data, descriptors, _, _ = socket.recv_fds(connection, MESSAGE.size, 1)
            if not data:
                break
            size, header_size = MESSAGE.unpack(data)
            _serve(connection, MemoryFile(descriptors[0]), size, header_size, limits, own_size)
    finally:
        os._exit(0)


def _prefer_as_victim() -> None:
    """Has the system end this process before the server when there is no memory."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123, no Path is loaded
        file.write("500")


def _serve(
    connection: socket.socket, body: MemoryFile, size: int, header_size: int, limits: Limits, own_size: int
) -> None:
    """Parses one body, and sends the result; `own_size` is the memory that the process uses without it, in bytes."""
    import orjson

    from tfserve.model_server.rest.parsed_body import exhausted, write_error

    result = MemoryFile()
    request = orjson.loads(os.pread(body.descriptor, header_size, size))
    try:
        if request["heavy"]:
            os.nice(10)
        with _limited(limits, own_size + size):
            header = _parse(body, size, request, limits, result)
    except (MemoryError, SystemError):  # of the C API, when an allocation fails
        header = write_error(exhausted(limits))
    except Exception as failure:
        header = write_error(failure)
    body.close()
    arrays = result.size
    result.write(header)
    socket.send_fds(connection, [MESSAGE.pack(arrays, len(header))], [result.descriptor])
    result.close()


@contextlib.contextmanager
def _limited(limits: Limits, size: int) -> Iterator[None]:
    """Ends the process, or has an allocation fail, when what runs inside exceeds the limits.

    Args:
        limits: `parse_bytes` and `parse_seconds` of it.
        size: how many bytes of memory are used without it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # a limit of the caller's that is lower, or a system without it
        resource.setrlimit(resource.RLIMIT_AS, (size + limits.parse_bytes, hard))
    signal.setitimer(signal.ITIMER_PROF, limits.parse_seconds)  # the signal ends the process
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Returns the size of this process's memory in bytes, as the system counts it for RLIMIT_AS.

    ``/proc/self`` shows it, but not in a sandbox. So it tries which limit lets it have one more page.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, 1 << 48 if hard == resource.RLIM_INFINITY else hard
    while high - low > _PRECISION:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle, hard))
        try:
            mmap.mmap(-1, mmap.PAGESIZE).close()
        except (OSError, MemoryError):
            low = middle
        else:
            high = middle
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return high


def _parse(body: MemoryFile, size: int, request: Mapping[str, Any], limits: Limits, result: MemoryFile) -> bytes:
    """Parses a body and writes its values to `result`; returns the header that describes them."""
    from tfserve.model_server.rest.json_body import parse_examples_body, parse_predict_body
    from tfserve.model_server.rest.parsed_body import write_examples, write_predict

    text = _text(body, size, request, limits)
    if request["kind"] == "examples":
        return write_examples(parse_examples_body(text, limits), result)
    signatures: Mapping[str, Mapping[str, int]] = request["signatures"]
    predict, dtypes = parse_predict_body(text, signatures, limits)
    return write_predict(predict, dtypes, result)


def _text(body: MemoryFile, size: int, request: Mapping[str, Any], limits: Limits) -> memoryview:
    """Returns the JSON text of a body.

    Raises:
        TooHeavyError: a heavy one was sent to a parser of light ones.
    """
    from tfserve.model_server.rest.gunzip import gunzip
    from tfserve.model_server.rest.limits import LIGHT_BYTES
    from tfserve.model_server.rest.parsed_body import TooHeavyError

    packed = memoryview(body.map(size))
    if not request["gzip"]:
        return packed
    unpacked = MemoryFile()
    for block in gunzip(packed, limits):
        unpacked.write(block)
        if unpacked.size > LIGHT_BYTES and not request["heavy"]:
            raise TooHeavyError
    return memoryview(unpacked.map(unpacked.size)) if unpacked.size else memoryview(b"")
