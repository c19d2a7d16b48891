from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.engines.server_log import message, timestamp

ABSL = "I0000 00:00:1795343248.307201   22632 server_core.cc:516] Adding/updating models."
DATED = "2024-07-01 10:00:00.123456: I tensorflow_serving/model_servers/server_core.cc:465] Adding/updating models."
PLAIN = "[evhttp_server.cc : 261] NET_LOG: Entering the event loop ..."


def test_absl_line() -> None:
    assert message(ABSL) == "Adding/updating models."
    assert timestamp(ABSL) == datetime(2026, 11, 22, 10, 27, 28, 307201, tzinfo=timezone.utc)


def test_dated_line_is_local_time() -> None:
    assert message(DATED) == "Adding/updating models."
    assert timestamp(DATED) == datetime(2024, 7, 1, 10, 0, 0, 123456).astimezone()


@pytest.mark.parametrize("line", [PLAIN, "", "To enable the following instructions: AVX2", "E0000", "I0000 00:00:x"])
def test_plain_line(line: str) -> None:
    assert message(line) == line
    assert timestamp(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "2024-13-45 10:00:00.123456: I file.cc:1] no such month",
        "2024-07-01 10:00:00.1: I file.cc:1] one digit",
        "2024-07-01 10:00:00.123456789: I file.cc:1] nine digits",
        "0001-01-01 00:00:00.123456: I file.cc:1] before all time zones",
        "I0000 00:00:99999999999999999999.0 1 file.cc:1] the far future",
        f"I0000 00:00:{'9' * 400}.0 1 file.cc:1] infinity",
    ],
)
def test_invalid_time(line: str) -> None:
    found = timestamp(line)
    assert found is None or found.tzinfo is not None
    assert not message(line).startswith(("2024", "0001", "I0000"))


@given(
    st.from_regex(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: |I\d{4} \d\d:\d\d:\d+\.\d+ 1 )[IW]? ?a\] b", fullmatch=True)
)
def test_any_line(line: str) -> None:
    found = timestamp(line)
    assert found is None or found.tzinfo is not None
