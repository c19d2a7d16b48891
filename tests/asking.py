"""Somebody who asks a server all the time, to see that no request of his ever fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

__all__ = ["Asked", "keep_asking"]


class Asked:
    """How often it went well, and what went wrong."""

    def __init__(self) -> None:
        self.well = 0
        self.failures: list[str] = []


@contextmanager
def keep_asking(url: str, *paths: str) -> Iterator[Asked]:
    """Sends predict requests to `paths`, below ``/v1/models/``, in turn, until the block is left."""
    asked, over = Asked(), threading.Event()

    def ask() -> None:
        body = json.dumps({"instances": [1.0, 2.0, 5.0]}).encode()
        while not over.is_set():
            for path in paths:
                try:
                    with urlopen(Request(f"{url}/v1/models/{path}:predict", body), timeout=20) as answer:
                        assert json.load(answer) == {"predictions": [2.5, 3.0, 4.5]}
                    asked.well += 1
                except Exception as error:  # whatever it is, the test is to tell it
                    asked.failures.append(f"{path}: {error!r}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()
