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
    Output().result({"a": 1}, "as text")
    assert capsys.readouterr() == ("as text\n", "")
    Output(json_wanted=True).result({"a": "ä\x1b"}, "as text")
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"a": "ä\x1b"}, "")


def test_everything_else_goes_to_stderr(capsys: Captured) -> None:
    output = Output(json_wanted=True)
    output.notice("a notice \x1b")
    output.line("a line \x1b", to_stderr=True)
    with output.waiting() as on_wait:
        on_wait("Waiting for m")
    with output.pulling("tensorflow/serving:latest") as on_progress:
        on_progress(LayerProgress("abc", "Downloading", 1, 2))
    with output.pushing("me/m:1") as on_progress:
        on_progress(LayerProgress("abc", "Pushing", 1, 2))
    with output.copying("Copying m", 1_500_000) as on_copied:
        on_copied(1)
    with output.copying("Downloading m\x1b", None):
        pass
    expected = (
        "a notice \\x1b\na line \\x1b\nWaiting for m\nPulling tensorflow/serving:latest\nPushing me/m:1\n"
        "Copying m (1.5 MB)\nDownloading m\\x1b\n"
    )
    assert capsys.readouterr() == ("", expected)


def test_error_with_details_and_hint(capsys: Captured) -> None:
    Output().error(UsageError("The problem.", hint="The remedy.", details="one\ntwo\x1b[2J"))
    assert capsys.readouterr() == ("", "Error: The problem.\n  one\n  two\\x1b[2J\nHint: The remedy.\n")
    Output().error(TfserveError("The problem."))
    assert capsys.readouterr() == ("", "Error: The problem.\n")
    Output().error(GpuError("The problem.", hint="The remedy."))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "Hint: The remedy.",
        "To check the whole machine: tfserve doctor",
    ]
    Output().error(TfserveError("The problem.", doctor=True))
    assert capsys.readouterr().err.endswith("Hint: To check the whole machine: tfserve doctor\n")


def test_table_in_a_pipe(capsys: Captured) -> None:
    Output().table(("NAME", "X"), [("a", "1"), ("longer", "\x1b")])
    assert capsys.readouterr().out == "NAME    X\na       1\nlonger  \\x1b\n"


@pytest.mark.parametrize(("body", "written"), [(b"{}", b"{}\n"), (b"{}\n", b"{}\n"), (b"\xff\x1b", b"\xff\x1b\n")])
def test_response_body_is_not_changed(capfdbinary: pytest.CaptureFixture[bytes], body: bytes, written: bytes) -> None:
    Output().body(body)
    assert capfdbinary.readouterr().out == written


def test_table_on_a_terminal(served: Served) -> None:
    controller, terminal = pty.openpty()
    done = served.tfserve.start("ps", stdout=terminal, TERM="xterm-256color", COLUMNS="200")
    assert done.wait(20) == 0
    os.close(terminal)
    shown = os.read(controller, 100_000).decode()
    os.close(controller)
    assert "\x1b[1m" in shown
    assert served.document["rest_url"] in shown


def test_progress_bars_on_a_terminal() -> None:
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
    with suppress(OSError):  # the other end of the terminal was closed
        while piece := os.read(controller, 4096):
            shown += piece.decode(errors="replace")
    os.close(controller)
    for words in ("Copying [m] into me/m:1", "storing", "2.0/2.0 kB", "Pushing me/m:1", "abc", "Pushed"):
        assert words in shown
    assert "d\\x1b]0;ef" in shown
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown
