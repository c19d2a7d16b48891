from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tfserve.images.build_log import BuildLog

BASE, OLD, NEW = "a" * 12, "b" * 12, "c" * 12
CONTAINER = "d" * 12


def feed(log: BuildLog, *events: dict[str, Any] | str) -> list[str]:
    return [line for event in events for line in log.feed({"stream": event} if isinstance(event, str) else event)]


def begin(log: BuildLog) -> list[str]:
    return feed(
        log,
        *("Step 1/3 : FROM base as x", "\n", f" ---> {BASE}\n"),
        *("Step 2/3 : ENV A=1", "\n", " ---> Using cache\n", f" ---> {OLD}\n"),
        *("Step 3/3 : RUN make", "\n", f" ---> Running in {CONTAINER}\n"),
    )


def test_step_and_result() -> None:
    log = BuildLog()
    assert begin(log) == ["Step 1/3 : FROM base as x", "Step 2/3 : ENV A=1", "Step 3/3 : RUN make"]
    assert (log.step, log.instruction, log.running) == ("3/3", "RUN make", CONTAINER)
    feed(log, f"Removing intermediate container {CONTAINER}\n", f" ---> {NEW}\n", {"aux": {"ID": f"sha256:{NEW}"}})
    assert (log.running, log.made, log.image) == (None, [NEW], f"sha256:{NEW}")


def test_fetching() -> None:
    log = BuildLog()
    feed(log, "Step 1/3 : FROM base as x", "\n", {"status": "Pulling fs layer", "id": "1f2e"})
    assert log.fetching
    feed(log, f" ---> {BASE}\n")
    assert not log.fetching


def test_escape_sequences_are_removed() -> None:
    log = BuildLog()
    begin(log)
    assert feed(log, "\x1b[32mone\x1b[0m\r\x1b[1A\x1b[Ktwo\r\n\n", "th", "ree\n\x1b]0;title\x07") == [
        "one",
        "two",
        "three",
    ]


def test_output_of_a_command_is_not_parsed() -> None:
    log = BuildLog()
    begin(log)
    feed(log, f" ---> {OLD}\n", "Step 9/9 : FROM x", "Removing intermediate container 123\n", " ---> Running in e\n")
    assert (log.made, log.step, log.running) == ([], "3/3", CONTAINER)


def test_failing_command() -> None:
    log = BuildLog()
    begin(log)
    lines = feed(log, "compiling\nno such file", f"Removing intermediate container {CONTAINER}\n")
    assert lines == ["compiling", "no such file"]
    feed(log, {"error": "The command failed", "errorDetail": {"code": 2, "message": "The command failed"}})
    assert (log.error, log.code, list(log.tail)) == ("The command failed", 2, ["compiling", "no such file"])


def test_tail_is_limited() -> None:
    log = BuildLog()
    begin(log)
    feed(log, *(f"{number}\n" for number in range(1000)))
    assert log.tail[-1] == "999"
    assert len(log.tail) < 100


@given(st.lists(st.text()))
def test_any_output(pieces: list[str]) -> None:
    log = BuildLog()
    begin(log)
    lines = feed(log, *pieces)
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert log.made == []
