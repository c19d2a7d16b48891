"""The only place that prints: results on stdout, as text for people or as one JSON document; the rest on stderr.

rich draws the progress on a terminal; it is loaded only there. Into a pipe goes plain text.
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
from tfserve.spec.fields import option_names
from tfserve.text import printable_lines

__all__ = ["Output", "age_text", "size_text"]

_DOCTOR = "To look at the whole machine: tfserve doctor"


class Output:
    """What a command says. It is also the `Progress` that long work reports to.

    Args:
        json_wanted: whether the result is to be one JSON document.
    """

    def __init__(self, *, json_wanted: bool = False) -> None:
        self.json_wanted = json_wanted

    def result(self, data: Any, text: str) -> None:
        """Prints a command's result: `data` as JSON, or `text` for people."""
        if self.json_wanted:
            import json

            _print(json.dumps(data, indent=2))
        else:
            self.text(text)

    def text(self, text: str) -> None:
        """Prints text for people on stdout."""
        _print(printable_lines(text))

    def page(self, markdown: str, *, for_terminals: Callable[[str], str]) -> None:
        """Prints a page of Markdown on stdout: formatted on a terminal, unchanged elsewhere.

        Args:
            markdown: the page.
            for_terminals: what to do with the page before it is formatted.
        """
        if not sys.stdout.isatty():
            _print(markdown, nl=False)
            return
        from rich.console import Console
        from rich.markdown import Markdown
        from rich.theme import Theme

        # The terminal's own colours, without a background, are readable on any terminal.
        console = Console(theme=Theme({"markdown.code": "cyan"}))
        console.print(Markdown(for_terminals(markdown), code_theme="ansi_dark", hyperlinks=False))

    def shell_line(self, line: str) -> None:
        """Prints a line for a shell on stdout, character for character, as it has to be pasted; or as JSON."""
        if self.json_wanted:
            self.result({"command": line}, "")
        else:
            _print(os.fsencode(line))

    def body(self, body: bytes) -> None:
        """Prints a server's answer on stdout, byte for byte, with a line end behind it if it has none."""
        _print(body)

    def raw(self, data: bytes, *, to_stderr: bool = False) -> None:
        """Passes on what another program writes, byte for byte and at once."""
        if to_stderr:
            typer.echo(data, nl=False, err=True)
        else:
            _print(data, nl=False)

    def line(self, line: str, *, to_stderr: bool = False) -> None:
        """Prints one line of a log at once."""
        if to_stderr:
            self.notice(line)
        else:
            _print(printable_lines(line))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table on stdout, in aligned columns that no width of a terminal breaks into pieces."""
        safe = [[printable_lines(cell).replace("\n", "\\n") for cell in row] for row in (columns, *rows)]
        widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
        for number, row in enumerate(safe):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            _print(line if number else typer.style(line, bold=True))

    def finding(self, verdict: str, colour: str, name: str, detail: str, hint: str | None) -> None:
        """Prints what a look found: one line, and under it what to do about it."""
        margin = " " * 6
        _print(f"{typer.style(verdict.ljust(5), fg=colour, bold=True)} {name}  {printable_lines(detail)}")
        for line in printable_lines(hint or "").splitlines():
            _print(f"{margin}{typer.style(line, bold=True)}")

    def notice(self, text: str | Wording) -> None:
        """Prints a notice on stderr."""
        typer.echo(printable_lines(text if isinstance(text, str) else text(option_names)), err=True)

    def error(self, error: TfserveError) -> None:
        """Prints what is wrong and what to do about it, on stderr."""
        error.reword(option_names)
        typer.echo(f"{typer.style('Error:', fg='red', bold=True)} {printable_lines(error.message)}", err=True)
        if error.details:
            typer.echo("\n".join(f"  {line}" for line in printable_lines(error.details).splitlines()), err=True)
        hint = "\n".join(filter(None, (error.hint, _DOCTOR if error.doctor else None)))
        if hint:
            typer.echo(f"{typer.style('Hint:', bold=True)} {printable_lines(hint)}", err=True)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Shows what is being waited for: a spinner on a terminal, one line a step elsewhere."""
        if not sys.stderr.isatty():
            yield self.notice
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status("") as status:
            yield lambda message: status.update(Text(printable_lines(message)))

    @contextmanager
    def pulling(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        """Shows a pull: one bar a layer on a terminal, one line elsewhere."""
        with self._layers(f"Pulling {image}") as on_progress:
            yield on_progress

    @contextmanager
    def pushing(self, image: str) -> Iterator[Callable[[LayerProgress], None]]:
        """Shows a push, as `pulling` does a pull."""
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

        with copy_bar(what, total) as on_progress:
            yield on_progress

    @contextmanager
    def _layers(self, what: str) -> Iterator[Callable[[LayerProgress], None]]:
        if not sys.stderr.isatty():
            self.notice(what)
            yield lambda layer: None
            return
        from tfserve.cli.progress_bars import layer_bars

        with layer_bars(what) as on_progress:
            yield on_progress


def size_text(size: int) -> str:
    """Writes a number of bytes for people: ``1,234 MB``, ``1.2 MB``, ``12 kB``."""
    if size >= 1e6:
        return f"{size / 1e6:,.{0 if size >= 1e7 else 1}f} MB"
    return f"{size / 1e3:.{0 if size >= 1e4 else 1}f} kB"


def age_text(seconds: float) -> str:
    """Writes how long something has been for people: ``5 minutes``, ``3 hours``, ``12 days``."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def _print(line: str | bytes, *, nl: bool = True) -> None:
    """Writes on stdout, at once, with a line end behind it if it has none, or without one.

    Raises:
        BrokenPipeError: whoever read it has gone.
        TfserveError: it cannot be written for another reason, such as a full disk.
    """
    try:
        typer.echo(line, nl=nl and not (isinstance(line, bytes) and line.endswith(b"\n")))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise TfserveError(f"The output cannot be written: {error.strerror}.", hint="See where stdout goes.") from None
