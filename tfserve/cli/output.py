"""The only module that prints: results on stdout, as text or as one JSON document, and everything else on stderr.

Progress is drawn by rich, which is loaded only on a terminal; a pipe gets plain text.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from tfserve.errors import TfserveError, Wording
from tfserve.progress import LayerProgress
from tfserve.text import indented, one_line, printable_lines, quoted_line

__all__ = ["Output", "age_text", "output_error", "size_text"]

_DOCTOR = "To check the whole machine: tfserve doctor"
_MARGIN = " " * 6  # below "Hint: "


class Output:
    """The output of a command. It is also the `Progress` that long operations report to.

    Args:
        json_wanted: whether to print the result as one JSON document.
        masked: returns text without the secrets in it, for notices and progress; None to leave text unchanged.
    """

    def __init__(self, *, json_wanted: bool = False, masked: Callable[[str], str] | None = None) -> None:
        self.json_wanted = json_wanted
        self._masked = masked

    def result(self, data: Any, text: str | Sequence[str]) -> None:
        """Prints the result of a command: `data` as JSON, or `text`; see `text`."""
        if self.json_wanted:
            import json

            _print(json.dumps(data, indent=2))
        else:
            self.text(text)

    def text(self, text: str | Sequence[str]) -> None:
        """Prints text on stdout, with control characters escaped; each string of a sequence as one line."""
        _print(printable_lines(text) if isinstance(text, str) else "\n".join(map(one_line, text)))

    def page(self, markdown: str, *, for_terminals: Callable[[str], str]) -> None:
        """Prints a page of Markdown on stdout: formatted on a terminal, unchanged elsewhere.

        Args:
            markdown: the page.
            for_terminals: converts the page for a terminal, before it is formatted.
        """
        if not sys.stdout.isatty():
            _print(markdown, nl=False)
            return
        from tfserve.cli.pages import print_page

        print_page(for_terminals(markdown))

    def shell_line(self, line: str) -> None:
        """Prints a line for a shell on stdout, unescaped so that it can be pasted; or as JSON."""
        if self.json_wanted:
            self.result({"command": line}, "")
        else:
            _print(os.fsencode(line))

    def body(self, body: bytes) -> None:
        """Prints the body of a response on stdout, byte for byte, and a newline if it ends without one."""
        _print(body)

    def raw(self, data: bytes, *, to_stderr: bool = False) -> None:
        """Prints the output of another program, byte for byte and immediately."""
        if to_stderr:
            typer.echo(data, nl=False, err=True)
        else:
            _print(data, nl=False)

    def line(self, line: str, *, to_stderr: bool = False) -> None:
        """Prints one line of a log immediately; on stderr, it cannot look like a message of tfserve."""
        if to_stderr:
            typer.echo(quoted_line(line), err=True)
        else:
            _print(printable_lines(line))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table on stdout, with aligned columns, whatever the width of the terminal."""
        safe = [[printable_lines(cell).replace("\n", "\\n") for cell in row] for row in (columns, *rows)]
        widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
        for number, row in enumerate(safe):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            _print(line if number else typer.style(line, bold=True))

    def finding(self, verdict: str, color: str, name: str, detail: str | Wording, hint: str | Wording | None) -> None:
        """Prints the result of a check: one line, and below it how to fix the problem."""
        shown = indented(self.in_words(detail), _MARGIN)
        _print(f"{typer.style(verdict.ljust(5), fg=color, bold=True)} {name}  {shown}")
        for line in printable_lines(self.in_words(hint or "")).splitlines():
            _print(f"{_MARGIN}{typer.style(line, bold=True)}")

    def notice(self, text: str | Wording) -> None:
        """Prints a notice on stderr, in one line."""
        typer.echo(one_line(self.in_words(text)), err=True)

    def in_words(self, text: str | Wording) -> str:
        """Text as the command line writes it: attributes of a spec are options."""
        if not isinstance(text, str):
            from tfserve.spec.fields import option_names  # loads the types of all fields

            text = text(option_names)
        return text if self._masked is None else self._masked(text)

    def error(self, error: TfserveError) -> None:
        """Prints an error on stderr: its message, its details and its hint."""
        from tfserve.spec.fields import option_names

        error.reword(option_names)
        typer.echo(f"{typer.style('Error:', fg='red', bold=True)} {one_line(error.message)}", err=True)
        if error.details:
            typer.echo(f"  {indented(error.details.rstrip(), '  ')}", err=True)
        hints = (indented(error.hint, _MARGIN) if error.hint else None, _DOCTOR if error.doctor else None)
        if hint := "\n".join(filter(None, hints)):
            typer.echo(f"{typer.style('Hint:', bold=True)} {hint}", err=True)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Shows what the command is waiting for: a spinner on a terminal, one line per step elsewhere."""
        if not sys.stderr.isatty():
            yield self.notice
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status("") as status:
            yield lambda message: status.update(Text(one_line(message)))

    @contextmanager
    def pulling(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        """Shows a pull: one bar per layer on a terminal, one line elsewhere."""
        with self._layers(f"Pulling {image}") as on_progress:
            yield on_progress

    @contextmanager
    def pushing(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        """Shows a push, like `pulling`."""
        with self._layers(f"Pushing {image}") as on_progress:
            yield on_progress

    @contextmanager
    def copying(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Shows a copy: a bar on a terminal, one line elsewhere."""
        if not sys.stderr.isatty():
            self.notice(what if total is None else f"{what} ({size_text(total)})")
            yield lambda done: None
            return
        from tfserve.cli.progress_bars import copy_bar

        with copy_bar(self.in_words(what), total) as on_progress:
            yield on_progress

    @contextmanager
    def _layers(self, what: str) -> Iterator[Callable[[LayerProgress], None]]:
        if not sys.stderr.isatty():
            self.notice(what)
            yield lambda layer: None
            return
        from tfserve.cli.progress_bars import layer_bars

        with layer_bars(self.in_words(what)) as on_progress:
            yield on_progress


def size_text(size: int) -> str:
    """Formats a number of bytes: ``1,234 MB``, ``1.2 MB``, ``12 kB``."""
    if size >= 1e6:
        return f"{size / 1e6:,.{0 if size >= 1e7 else 1}f} MB"
    return f"{size / 1e3:.{0 if size >= 1e4 else 1}f} kB"


def age_text(seconds: float) -> str:
    """Formats a duration: ``5 minutes``, ``3 hours``, ``12 days``."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def output_error(error: OSError) -> TfserveError:
    """The error for output that cannot be written, for example to a full disk."""
    return TfserveError(f"The output cannot be written: {error.strerror}.", hint="Check where stdout is redirected to.")


def _print(line: str | bytes, *, nl: bool = True) -> None:
    """Writes on stdout immediately, with a newline unless `nl` is False or the bytes end with one.

    Raises:
        BrokenPipeError: the reader of the pipe has exited.
        TfserveError: writing failed for another reason, such as a full disk.
    """
    try:
        typer.echo(line, nl=nl and not (isinstance(line, bytes) and line.endswith(b"\n")))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(error) from None
