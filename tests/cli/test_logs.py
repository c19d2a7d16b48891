from __future__ import annotations

import re
import signal
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.cli.conftest import Served
from tests.program import Program, assert_error
from tfserve.cli.commands.logs import parse_since
from tfserve.errors import UsageError

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=timezone.utc)
LAST = "[http_server.py] NET_LOG: Entering the event loop ..."


def test_whole_log(served: Served) -> None:
    lines = served.tfserve("logs").stdout.splitlines()
    assert "Building single TensorFlow model file config" in lines[0]
    assert LAST in lines


def test_options(served: Served) -> None:
    tfserve = served.tfserve
    whole = tfserve("logs", "half_plus_two").stdout.splitlines()
    assert tfserve("logs", "--tail", "2").stdout.splitlines() == whole[-2:]
    assert tfserve("logs", "-n", "0").stdout == ""
    assert tfserve("logs", "--since", "1d").stdout.splitlines() == whole
    assert tfserve("logs", "--since", "2999-01-01T00:00:00Z").stdout == ""
    stamped = tfserve("logs", "-t", "--tail", "1").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z .*\n", stamped)


def test_bad_usage(served: Served) -> None:
    assert_error(served.tfserve("logs", "--since", "yesterday"), 2, "'yesterday' is neither a duration nor a time")
    assert_error(served.tfserve("logs", "other"), 10, "There is no server 'other'")
    assert served.tfserve("logs", "--tail", "-1").returncode == 2


def test_ctrl_c_stops_following(served: Served) -> None:
    logs = served.tfserve.start("logs", "-f")
    assert logs.stdout is not None
    assert "Building" in logs.stdout.readline()
    logs.send_signal(signal.SIGINT)
    _, stderr = logs.communicate(timeout=20)
    assert (logs.returncode, stderr) == (130, "Interrupted.\n")
    assert served.document["pid"] in served.tfserve.processes()


def test_closed_pipe(served: Served) -> None:
    """As in ``tfserve logs | head -1``: nothing is printed on stderr."""
    logs = served.tfserve.start("logs")
    assert logs.stdout is not None
    logs.stdout.close()
    assert logs.stderr is not None
    assert (logs.stderr.read(), logs.wait(20)) == ("", 0)
    logs.stderr.close()


def test_follow_exits_with_the_server(tfserve: Program, half_plus_two: Path) -> None:
    run = ("run", half_plus_two, "--engine", "local", "--rest-port", "0", "--grpc-port", "0", "--wait", "0")
    assert tfserve(*run).returncode == 0
    logs = tfserve.start("logs", "half_plus_two", "--follow")
    assert logs.stdout is not None
    lines = []
    for line in logs.stdout:
        lines.append(line.rstrip("\n"))
        if lines[-1] == LAST:
            break
    assert tfserve("stop").returncode == 0
    lines += logs.stdout.read().splitlines()  # communicate would lose what has been buffered
    assert logs.stderr is not None
    assert (logs.wait(timeout=20), logs.stderr.read()) == (0, "")
    logs.stdout.close()
    logs.stderr.close()
    assert tfserve("logs").stdout.splitlines() == lines


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("10m", timedelta(minutes=10)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("1d2h3m4.5s", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("2026-01-31T11:00:00Z", timedelta(hours=1)),
        ("2026-01-31T12:00:00+01:00", timedelta(hours=1)),
    ],
)
def test_parse_since(text: str, ago: timedelta) -> None:
    assert parse_since(text, NOW) == NOW - ago


def test_parse_since_in_local_time() -> None:
    assert parse_since("2026-01-31T12:00:00", NOW) == datetime(2026, 1, 31, 12).astimezone()


@pytest.mark.parametrize("text", ["", "10", "10x", "m", "-5m", "5m 3s", "yesterday", "9" * 12 + "d", "9" * 400 + "s"])
def test_invalid_since(text: str) -> None:
    with pytest.raises(UsageError, match="is neither a duration nor a time") as caught:
        parse_since(text, NOW)
    assert caught.value.hint
