"""A client that sends requests without pause, to show that none of them fails while something changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

__all__ = ["Load", "constant_load"]


class Load:
    """How many requests succeeded, and the errors of the others."""

    def __init__(self) -> None:
        self.succeeded = 0
        self.failures: list[str] = []


@contextmanager
def constant_load(url: str, *paths: str) -> Iterator[Load]:
    """Sends predict requests to `paths`, below ``/v1/models/``, in turn, while the block runs."""
    load, stopped = Load(), threading.Event()

    def send_requests() -> None:
        body = json.dumps({"instances": [1.0, 2.0, 5.0]}).encode()
        while not stopped.is_set():
            for path in paths:
                try:
                    with urlopen(Request(f"{url}/v1/models/{path}:predict", body), timeout=20) as response:
                        assert json.load(response) == {"predictions": [2.5, 3.0, 4.5]}
                    load.succeeded += 1
                except Exception as error:  # of any kind: the test reports it
                    load.failures.append(f"{path}: {error!r}")

    thread = threading.Thread(target=send_requests)
    thread.start()
    try:
        yield load
    finally:
        stopped.set()
        thread.join()
