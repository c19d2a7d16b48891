"""The SDK's interface to credential helpers, with limits for the time and the answer of such a program."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from typing import Any

from docker.credentials import Store
from docker.credentials.errors import StoreError, process_store_error

from tfserve.host.programs import find_program
from tfserve.host.search_paths import NEUTRAL_DIRECTORY, safe_environment

__all__ = ["BoundedStore"]

SECONDS = 120.0  # a helper can ask the user for a password
_MAX_BYTES = 2**20
_PIECE_BYTES = 2**16


class BoundedStore(Store):  # type: ignore[misc, unused-ignore]
    """A credential helper that is killed if it takes too long or writes too much."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.exe = find_program(self.program)

    def _execute(self, subcmd: str, data_input: bytes | None) -> bytes:
        if self.exe is None:
            raise StoreError(f"{self.program} is not installed")
        command = [self.exe, subcmd]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=NEUTRAL_DIRECTORY,
            env=safe_environment(os.environ),
        )
        answer = bytearray()
        try:
            # A thread, because a program that the helper started can keep the pipe open after its end.
            asking = threading.Thread(target=_ask, args=(process, data_input or b"", answer), daemon=True)
            asking.start()
            asking.join(SECONDS)
            in_time = not asking.is_alive() and len(answer) <= _MAX_BYTES and _ends(process)
        finally:  # also after Ctrl-C
            if process.poll() is None:
                process.kill()
                process.wait()
        if len(answer) > _MAX_BYTES:
            raise StoreError("its answer is too large")
        if not in_time:
            raise StoreError(f"no answer within {SECONDS:g} s")
        if process.returncode:
            failed = subprocess.CalledProcessError(process.returncode, command, bytes(answer))
            raise process_store_error(failed, self.program)
        return bytes(answer)


def _ask(process: Any, question: bytes, answer: bytearray) -> None:
    with suppress(BrokenPipeError):  # it does not read its input
        process.stdin.write(question)
        process.stdin.close()
    with process.stdout as output:
        while len(answer) <= _MAX_BYTES and (piece := output.read1(_PIECE_BYTES)):
            answer += piece


def _ends(process: Any) -> bool:
    """Whether a process exits on its own, shortly after it has closed its output."""
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        return False
    return True
