from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.faulty_server import FaultyServer, flooding, responding, trickling
from tfserve.doctor.gather import _ask_registry

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, tuple[Callable[[], FaultyServer], bool]] = {
    "an endless body": (lambda: flooding(OK + b"\r\n"), True),
    "an endless header": (lambda: flooding(OK + b"X: "), False),
    "a slow header": (lambda: trickling(OK + b"X: "), False),
    "a redirect with an endless body": (lambda: flooding(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"), True),
    "a login": (lambda: responding(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), True),
    "an error": (lambda: responding(b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n"), False),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_of_a_registry(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    make, responds = ANSWERS[answer]
    with make() as server:
        assert (_ask_registry(server.url, {}, 0.5).failure is None) == responds
