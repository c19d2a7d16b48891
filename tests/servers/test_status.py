from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.program import Plan, eventually
from tfserve.engines.base import Exit
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.server import LocalServer
from tfserve.servers.status import server_status, server_statuses

CREATED = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone.utc)
SERVER = LocalServer("prod", LocalEngine(), "running", ("m",), CREATED, pid=7)
FAILED = "Loading servable: {name: m version: 1} failed: NOT_FOUND"


@contextmanager
def rest_api(answers: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    """Serves a REST API with the status of some models, and yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            model = self.path.rsplit("/", 1)[-1]
            self.send_response(200 if model in answers else 404)
            self.end_headers()
            document = {"model_version_status": answers[model]} if model in answers else {"error": "no such model"}
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *arguments: object) -> None:
            """Logs nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def version(number: int, state: str) -> dict[str, str]:
    return {"version": str(number), "state": state}


@pytest.mark.parametrize(
    ("versions", "health"),
    [
        ([version(1, "AVAILABLE")], "available"),
        ([version(2, "LOADING"), version(1, "AVAILABLE")], "available"),
        ([version(2, "END"), version(1, "AVAILABLE")], "available"),
        ([version(1, "START")], "loading"),
        ([version(1, "LOADING")], "loading"),
        ([version(1, "END")], "failed"),
        ([version(1, "UNLOADING")], "failed"),
        ([], "failed"),
    ],
)
def test_the_health_of_a_server_that_answers(engine: LocalEngine, versions: list[dict[str, str]], health: str) -> None:
    with rest_api({"m": versions}) as url:
        found = server_status(replace(SERVER, rest_url=url))
    assert found.health == health
    assert found.versions == {"m": tuple((int(one["version"]), one["state"]) for one in versions)}


def test_every_model_has_to_be_available(engine: LocalEngine) -> None:
    with rest_api({"a": [version(1, "AVAILABLE")], "b": [version(3, "LOADING")]}) as url:
        found = server_status(replace(SERVER, models=("a", "b"), rest_url=url))
    assert found.health == "loading"
    assert found.versions == {"a": ((1, "AVAILABLE"),), "b": ((3, "LOADING"),)}


@pytest.mark.parametrize(("line", "health"), [("Adding/updating models.", "loading"), (FAILED, "failed")])
def test_a_silent_server_is_loading_or_has_failed(
    engine: LocalEngine, python_plan: Plan, line: str, health: str
) -> None:
    server = engine.launch(python_plan(f"print({line!r}, flush=True); import time; time.sleep(60)"))
    eventually(lambda: list(server.logs()))
    with rest_api({}) as url:
        closed = url
    assert server_status(replace(server, rest_url=closed)).health == health
    server.remove()
    assert server_status(replace(server, rest_url=closed)).health == "loading"  # its log has been removed, too


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({"state": "exited", "exit": Exit(0)}, "unknown"),
        ({"state": "exited", "exit": Exit(143)}, "unknown"),
        ({"state": "exited", "exit": Exit(None)}, "unknown"),
        ({"state": "exited", "exit": Exit(255)}, "failed"),
        ({"state": "exited", "exit": Exit(137, out_of_memory=True)}, "failed"),
        ({"state": "restarting"}, "loading"),
        ({"state": "created"}, "unknown"),
        ({"state": "paused"}, "unknown"),
        ({"state": "running", "rest_url": None}, "unknown"),
    ],
)
def test_the_health_of_a_server_without_a_status(engine: LocalEngine, changes: dict[str, Any], health: str) -> None:
    found = server_status(replace(SERVER, **changes))
    assert (found.health, found.versions) == (health, {"m": ()})


def test_json(engine: LocalEngine) -> None:
    with rest_api({"m": [version(2, "AVAILABLE"), version(1, "END")]}) as url:
        found = server_status(replace(SERVER, rest_url=url, grpc_address="127.0.0.1:8500", gpu=True))
    assert json.loads(json.dumps(found.to_json())) == {
        "name": "prod",
        "engine": "local",
        "state": "running",
        "health": "available",
        "image": None,
        "container_id": None,
        "pid": 7,
        "gpu": True,
        "models": [
            {"name": "m", "versions": [{"version": 2, "state": "AVAILABLE"}, {"version": 1, "state": "END"}]},
        ],
        "rest_url": url,
        "grpc_address": "127.0.0.1:8500",
        "created": "2026-01-31T12:00:00Z",
    }


@pytest.mark.parametrize("count", [0, 1, 20])
def test_several_servers_stay_in_order(engine: LocalEngine, count: int) -> None:
    servers = [replace(SERVER, name=f"s{number}", state="exited") for number in range(count)]
    statuses = server_statuses(servers)
    assert [status.server for status in statuses] == servers


def test_several_servers_are_checked_at_the_same_time(engine: LocalEngine) -> None:
    """Each answers only when the other has received its request, too; in sequence they would never finish."""
    both = threading.Barrier(2, timeout=5)
    with meeting_api(both.wait) as first, meeting_api(both.wait) as second:
        servers = [replace(SERVER, rest_url=url) for url in (first, second)]
        statuses = server_statuses(servers)
    assert [status.health for status in statuses] == ["available", "available"]


@contextmanager
def meeting_api(meet: Callable[[], object]) -> Iterator[str]:
    class Meeting(dict[str, list[dict[str, str]]]):
        def __getitem__(self, model: str) -> list[dict[str, str]]:
            meet()
            return [version(1, "AVAILABLE")]

    with rest_api(Meeting(m=[])) as url:
        yield url
