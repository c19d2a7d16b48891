from __future__ import annotations

import json
import os
import pty
from contextlib import suppress

import pytest

from tests.cli.conftest import Served
from tfserve.cli.output import Output
from tfserve.errors import GpuError, TfserveError, UsageError
from tfserve.progress import LayerProgress

Captured = pytest.CaptureFixture[str]


def test_results_go_to_stdout(capsys: Captured) -> None:
    Output().result({"a": 1}, "for people")
    assert capsys.readouterr() == ("for people\n", "")
    Output(json_wanted=True).result({"a": "ä\x1b"}, "for people")
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"a": "ä\x1b"}, "")


def test_all_else_goes_to_stderr(capsys: Captured) -> None:
    output = Output(json_wanted=True)
    output.notice("by the way \x1b")
    output.line("a line \x1b", to_stderr=True)
    with output.waiting() as on_wait:
        on_wait("Waiting for it")
    with output.pulling("tensorflow/serving:latest") as on_progress:
        on_progress(LayerProgress("abc", "Downloading", 1, 2))
    with output.pushing("me/m:1") as on_progress:
        on_progress(LayerProgress("abc", "Pushing", 1, 2))
    with output.copying("Copying m", 1_500_000) as on_copied:
        on_copied(1)
    with output.copying("Downloading m\x1b", None):
        pass
    expected = (
        "by the way \\x1b\na line \\x1b\nWaiting for it\nPulling tensorflow/serving:latest\nPushing me/m:1\n"
        "Copying m (1.5 MB)\nDownloading m\\x1b\n"
    )
    assert capsys.readouterr() == ("", expected)


def test_an_error(capsys: Captured) -> None:
    Output().error(UsageError("What is wrong.", hint="What to do.", details="one\ntwo\x1b[2J"))
    assert capsys.readouterr() == ("", "Error: What is wrong.\n  one\n  two\\x1b[2J\nHint: What to do.\n")
    Output().error(TfserveError("What is wrong."))
    assert capsys.readouterr() == ("", "Error: What is wrong.\n")
    Output().error(GpuError("What is wrong.", hint="What to do."))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "Hint: What to do.",
        "To check the whole machine: tfserve doctor",
    ]
    Output().error(TfserveError("What is wrong.", doctor=True))
    assert capsys.readouterr().err.endswith("Hint: To check the whole machine: tfserve doctor\n")


def test_a_table_in_a_pipe_is_aligned(capsys: Captured) -> None:
    Output().table(("NAME", "X"), [("a", "1"), ("longer", "\x1b")])
    assert capsys.readouterr().out == "NAME    X\na       1\nlonger  \\x1b\n"


@pytest.mark.parametrize(("body", "written"), [(b"{}", b"{}\n"), (b"{}\n", b"{}\n"), (b"\xff\x1b", b"\xff\x1b\n")])
def test_an_answer_stays_as_it_is(capfdbinary: pytest.CaptureFixture[bytes], body: bytes, written: bytes) -> None:
    Output().body(body)
    assert capfdbinary.readouterr().out == written


def test_a_table_on_a_terminal_is_drawn(served: Served) -> None:
    controller, terminal = pty.openpty()
    done = served.tfserve.start("ps", stdout=terminal, TERM="xterm-256color", COLUMNS="200")
    assert done.wait(20) == 0
    os.close(terminal)
    shown = os.read(controller, 100_000).decode()
    os.close(controller)
    assert "\x1b[1m" in shown
    assert served.said["rest_url"] in shown


def test_bars_on_a_terminal() -> None:
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stderr)
        patch.setenv("COLUMNS", "120")
        patch.setenv("TERM", "xterm")
        with Output().copying("Copying [m] into me/m:1", 2000) as on_copied:
            on_copied(1000)
            on_copied(2000)
        with Output().pushing("me/m:1") as on_progress:
            on_progress(LayerProgress("abc", "Pushing", 1, 2))
            on_progress(LayerProgress("abc", "Pushed", None, None))
            on_progress(LayerProgress("d\x1b]0;ef", "Waiting\x1b[2J", None, None))
    shown = ""
    with suppress(OSError):  # which is how the end of a terminal is told
        while piece := os.read(controller, 4096):
            shown += piece.decode(errors="replace")
    os.close(controller)
    for words in ("Copying [m] into me/m:1", "storing", "2.0/2.0 kB", "Pushing me/m:1", "abc", "Pushed"):
        assert words in shown
    assert "d\\x1b]0;ef" in shown
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown
