from __future__ import annotations

import json
import sys
from datetime import datetime, timezone

import pytest

from tests.client.faulty_server import FaultyServer, resetting, responding, responding_json
from tfserve.engines.base import Server
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.server import LocalServer
from tfserve.errors import NotReadyError
from tfserve.progress import Silent
from tfserve.servers.smoke_test import SmokeTest, smoke_test

CREATED = datetime(2026, 1, 31, tzinfo=timezone.utc)


def server_at(url: str | None) -> Server:
    return LocalServer("prod", LocalEngine(), "running", ("m",), CREATED, rest_url=url)


def test_response() -> None:
    with responding_json(b'{"outputs": [2.0]}') as faulty:
        tested = smoke_test(server_at(faulty.url), b"{}", Silent())
    assert tested is not None
    assert tested.latency_ms > 0
    assert tested.to_json() == {
        "ok": True,
        "latency_ms": pytest.approx(tested.latency_ms, abs=0.001),
        "response": {"outputs": [2.0]},
    }
    assert faulty.requests[0].startswith(b"POST /v1/models/m:predict ")


def test_response_that_only_python_can_read() -> None:
    with responding_json(b'{"outputs": ["\xff\xfe", NaN, Infinity, -Infinity, 1e999]}') as faulty:
        tested = smoke_test(server_at(faulty.url), b"{}", Silent())
    assert tested is not None
    printed = json.dumps(tested.to_json(), allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(printed)["response"] == {"outputs": ["\ufffd\ufffd", "NaN", "Infinity", "-Infinity", "Infinity"]}


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (responding_json(b'{"outputs": [1'), "the response is not JSON"),
        (responding_json(b"[1]"), "the response is not a JSON object"),
        (responding_json(b'{"outputs": ' + b"[" * 500 + b"]" * 500 + b"}"), "the response is nested too deeply"),
        (responding_json(b'{"error": "bad weather"}', "500 Oh"), "bad weather"),
        (responding(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak HTTP"),
        (resetting(), "closed the connection"),
    ],
)
def test_a_server_that_fails(faulty: FaultyServer, words: str) -> None:
    with faulty, pytest.raises(NotReadyError) as caught:
        smoke_test(server_at(faulty.url), b"{}", Silent())
    assert caught.value.message.startswith("'prod' is running, but failed its smoke test. ")
    assert words in caught.value.message
    assert "smoke_test=False" in (caught.value.hint or "")


def test_neither_rest_nor_grpc_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert smoke_test(server_at(None), b"{}", Silent()) is None


def test_json_of_a_smoke_test() -> None:
    assert SmokeTest({"outputs": []}, 1.23456).to_json() == {
        "ok": True,
        "latency_ms": 1.235,
        "response": {"outputs": []},
    }
