from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from tests.program import Plan, eventually
from tfserve.engines.local.engine import LocalEngine
from tfserve.errors import NotReadyError, PortTakenError
from tfserve.host.ports import any_free_port, is_free
from tfserve.plan.launch_plan import PublishedPort
from tfserve.servers.readiness import wait_until_ready

FOREVER = "; import time; time.sleep(60)"
STATUS_SERVER = """
import http.server, json, sys
port, states = int(sys.argv[1]), sys.argv[2:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        state = states.pop(0) if len(states) > 1 else states[0]
        body = json.dumps({"model_version_status": [{"version": "1", "state": state, "status": {}}]}).encode()
        self.send_response(200 if state else 404)
        self.end_headers()
        self.wfile.write(body if state else b'{"error": "not yet"}')
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
print("NET_LOG: Entering the event loop ...", flush=True)
server.serve_forever()
"""


LATE = "import time; time.sleep(0.5); raise SystemExit('bind: Address already in use')"


def prints(*lines: str) -> str:
    return "; ".join(f"print({line!r}, flush=True)" for line in lines)


def not_ready(engine: LocalEngine, plan: Plan, program: str, seconds: float = 20, **changes: object) -> NotReadyError:
    """Starts a server that does not become ready, and asserts that the failure is detected early."""
    server = engine.launch(plan(program, **changes))
    begin = time.monotonic()
    with pytest.raises(NotReadyError) as caught:
        wait_until_ready(server, seconds=seconds)
    assert time.monotonic() - begin < 10
    assert caught.value.exit_code == 7
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("states", [["AVAILABLE"], ["", "START", "LOADING", "AVAILABLE"]])
def test_ready_when_the_status_is_available(engine: LocalEngine, python_plan: Plan, states: list[str]) -> None:
    port = any_free_port("127.0.0.1")
    plan = python_plan(STATUS_SERVER, rest=PublishedPort(port, "127.0.0.1", port))
    server = engine.launch(python_plan(STATUS_SERVER, rest=plan.rest, command=(*plan.command, str(port), *states)))
    messages: list[str] = []
    wait_until_ready(server, seconds=20, on_wait=messages.append)
    assert len(messages) == 1
    assert "m" in messages[0].split()
    assert "AVAILABLE" in messages[0]


def test_another_program_on_the_port_does_not_count(engine: LocalEngine, python_plan: Plan) -> None:
    """Another server had the port first; its responses do not make this one ready."""
    port = any_free_port("127.0.0.1")
    rest = PublishedPort(port, "127.0.0.1", port)
    first = python_plan(STATUS_SERVER, name="first")
    engine.launch(replace(first, command=(*first.command, str(port), "AVAILABLE")))
    eventually(lambda: not is_free("127.0.0.1", port))
    with pytest.raises(PortTakenError) as caught:
        wait_until_ready(engine.launch(python_plan(LATE, rest=rest)), seconds=20)
    assert "Address already in use" in str(caught.value.details)


def test_taken_port_is_recognized_before_the_server_exits(engine: LocalEngine, python_plan: Plan) -> None:
    line = "Failed to start server. Error: INVALID_ARGUMENT: Failed to bind to address 127.0.0.1:8500"
    with pytest.raises(PortTakenError):
        wait_until_ready(engine.launch(python_plan(prints(line) + FOREVER)), seconds=20)


def test_without_rest_the_log_reports_readiness(engine: LocalEngine, python_plan: Plan) -> None:
    line = "[evhttp_server.cc : 261] NET_LOG: Entering the event loop ..."
    server = engine.launch(python_plan(prints(line) + FOREVER))
    wait_until_ready(server, seconds=20)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Loading servable: {name: m version: 1} failed: OUT_OF_RANGE: Read less bytes", "OUT_OF_RANGE"),
        ("No versions of servable m found under base path /models/m.", "no version"),
        ("Could not find base path /models/m for servable m", "does not see the model's directory"),
    ],
)
def test_it_gives_up_at_the_first_fatal_line(engine: LocalEngine, python_plan: Plan, line: str, words: str) -> None:
    error = not_ready(engine, python_plan, prints("before", line) + FOREVER)
    assert error.message.startswith("'m' cannot load its model.")
    assert words in error.message
    assert error.details == f"before\n{line}"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("raise SystemExit(3)", "exited with code 3 before it was ready."),
        ("raise SystemExit(0)", "exited with code 0 before it was ready."),
        ("import os; os.kill(os.getpid(), 9)", "exited with code 137 before it was ready. The server was killed"),
        ("import os; os.kill(os.getpid(), 4)", "illegal instruction"),
        ("raise SystemExit('std::bad_alloc')", "ran out of memory"),
    ],
)
def test_it_gives_up_when_the_server_exits(engine: LocalEngine, python_plan: Plan, end: str, words: str) -> None:
    error = not_ready(engine, python_plan, f"{prints('the last words')}; {end}")
    assert words in error.message
    assert str(error.details).startswith("the last words")


def test_it_shows_the_last_lines_of_a_long_log(engine: LocalEngine, python_plan: Plan) -> None:
    error = not_ready(engine, python_plan, "for number in range(2000): print(number)")
    assert str(error.details).splitlines() == [str(number) for number in range(1985, 2000)]


def test_it_gives_up_after_the_timeout(engine: LocalEngine, python_plan: Plan) -> None:
    error = not_ready(engine, python_plan, prints("still loading") + FOREVER, seconds=0.3)
    assert error.message == "'m' was not ready after 0.3 s."
    assert "wait_seconds=" in str(error.hint)
    assert error.details == "still loading"


def test_lines_of_an_earlier_run_are_ignored(engine: LocalEngine, python_plan: Plan) -> None:
    """A server that failed, was fixed and was started again is only judged by its new lines."""
    old = f"E0000 00:00:{time.time() - 60:.6f} 1 a.cc:1] Loading servable: {{name: m version: 1}} failed: NOT_FOUND"
    new = "NET_LOG: Entering the event loop"
    program = f"import time; {prints(old)}; print(f'I0000 00:00:{{time.time():.6f}} 1 a.cc:2] {new}', flush=True)"
    since = datetime.now(timezone.utc)
    server = engine.launch(python_plan(program + FOREVER))
    wait_until_ready(server, seconds=20, since=since)


def test_a_server_that_is_removed_while_it_is_awaited(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan(prints("up") + FOREVER))
    eventually(lambda: list(server.logs()))
    remover = threading.Thread(target=server.remove)
    remover.start()
    with pytest.raises(NotReadyError, match=r"'m' exited .*before it was ready"):
        wait_until_ready(server, seconds=20)
    remover.join()


def test_a_server_that_is_killed_while_it_is_awaited(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan(prints("up") + FOREVER))
    killer = threading.Timer(0.1, os.kill, [server.pid, signal.SIGKILL])
    killer.start()
    with pytest.raises(NotReadyError, match="killed"):
        wait_until_ready(server, seconds=20)
