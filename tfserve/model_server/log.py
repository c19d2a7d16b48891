"""Log lines on stderr in the format of the official server, so that one parser can read both.

``I0000 00:00:1795343248.307201   22632 manager.py:85] message``: severity, seconds since the epoch, thread, source.
Text from clients and file names cannot forge a log line: continuation lines of a message are indented, and unprintable
characters are escaped. Nor can it fill the disk with a few requests: long messages are cut.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time

from tfserve.text import printable_lines

WRITING = threading.Lock()
"""Held while a line is written, so that the file can be shortened without losing one."""

MAX_CHARACTERS = 4096
"""How much of a message is logged; its length follows."""


def info(message: str) -> None:
    """Logs an expected event."""
    _write("I", message)


def warning(message: str) -> None:
    """Logs something that may not be intended."""
    _write("W", message)


def error(message: str) -> None:
    """Logs a failure."""
    _write("E", message)


def _write(severity: str, message: str) -> None:
    caller = sys._getframe(2)
    source = f"{os.path.basename(caller.f_code.co_filename)}:{caller.f_lineno}"  # noqa: PTH119, no Path for each line
    line = f"{severity}0000 00:00:{time.time():.6f} {threading.get_native_id():7d} {source}] {escape(message)}\n"
    write(line)


def escape(text: str) -> str:
    """Returns `text` with its continuation lines indented and its unprintable characters escaped; long text is cut."""
    return printable_lines(text, limit=MAX_CHARACTERS).replace("\n", "\n    ")


def write(text: str, stream: int = 2) -> None:
    """Writes `text` unchanged to a file descriptor, in one call so that the lines of threads do not mix."""
    data = text.encode(errors="backslashreplace")
    with contextlib.suppress(OSError), WRITING:  # the reader has closed the pipe; the server keeps serving
        while data:
            data = data[os.write(stream, data) :]
