"""Log lines on stderr that read like those of the official server, so that one parser serves both.

``I0000 00:00:1795343248.307201   22632 manager.py:85] message``: severity, seconds since the epoch, thread, source.
What a client or the name of a file brings into a message cannot look like a line of its own: the lines of a message
after the first are indented, and what is not printable is escaped.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time

from tfserve.text import printable_lines


def info(message: str) -> None:
    """Logs what happened as planned."""
    _write("I", message)


def warning(message: str) -> None:
    """Logs what may not be as wanted."""
    _write("W", message)


def error(message: str) -> None:
    """Logs what failed."""
    _write("E", message)


def _write(severity: str, message: str) -> None:
    caller = sys._getframe(2)
    source = f"{os.path.basename(caller.f_code.co_filename)}:{caller.f_lineno}"  # noqa: PTH119, no Path for each line
    line = f"{severity}0000 00:00:{time.time():.6f} {threading.get_native_id():7d} {source}] {fit(message)}\n"
    plain(line)


def fit(text: str) -> str:
    """Returns `text` with its lines after the first indented, and with what is not printable escaped."""
    return printable_lines(text).replace("\n", "\n    ")


def plain(text: str, stream: int = 2) -> None:
    """Writes `text` as it is to a file descriptor, in one call so that lines of threads do not mix."""
    data = text.encode(errors="backslashreplace")
    with contextlib.suppress(OSError):  # nobody reads any more; serving goes on
        while data:
            data = data[os.write(stream, data) :]
