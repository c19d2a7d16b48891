"""Writes the reference of the command line, ``reference.md`` and ``tfserve.1``: ``python -m tfserve.cli.reference``.

Both are generated from the commands, and a test checks that they are up to date.
"""

from __future__ import annotations

import inspect
import re
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import typer

from tfserve import errors
from tfserve.cli import NAME, build_app
from tfserve.cli.command_table import TASKS, Command
from tfserve.cli.program import help_by_group
from tfserve.docs import DIRECTORY

__all__ = ["PAGES", "man_page", "markdown"]

_WRITTEN_BY = "Written by python -m tfserve.cli.reference from the commands themselves; do not edit it."
_SIGNALS = {signal.SIGHUP: "The terminal was closed.", signal.SIGTERM: "The process received SIGTERM."}


@dataclass(frozen=True)
class Entry:
    """The help of a command.

    Attributes:
        usage: the command line.
        description: what the command does.
        groups: the title of each group of parameters, and the syntax and help of the parameters in it.
        examples: command lines.
    """

    usage: str
    description: str
    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    examples: tuple[str, ...]


def markdown() -> str:
    """The reference as Markdown."""
    lines = [f"<!-- {_WRITTEN_BY} -->", "", f"# {NAME}", "", _summary(), "", "## Options of the program", ""]
    lines += [*(f"- `{syntax}`: {_markdown_text(text)}" for syntax, text in _own_options()), ""]
    for task, commands in TASKS.items():
        lines += [f"## {task}", ""]
        for name, command in commands.items():
            entry = _entry(name, command)
            lines += [f"### {NAME} {name}", "", _markdown_text(entry.description), "", f"    {entry.usage}", ""]
            for title, parameters in entry.groups:
                lines += [
                    f"{title}:",
                    "",
                    *(f"- `{syntax}`: {_markdown_text(text)}" for syntax, text in parameters),
                    "",
                ]
            lines += ["Examples:", "", *(f"    {example}" for example in entry.examples), ""]
    lines += ["## Exit codes", ""]
    lines += [f"- `{code}`: {_markdown_text(meaning)}" for code, meaning in _exit_codes()]
    return "\n".join([*lines, ""])


def man_page() -> str:
    """The reference as a page of the manual, in roff."""
    lines = [f'.\\" {_WRITTEN_BY}', f".TH {NAME.upper()} 1", ".SH NAME", f"{NAME} \\- {_roff(_summary())}"]
    lines += [".SH SYNOPSIS", f".B {NAME}", "COMMAND [OPTIONS] [ARGS]...", ".SH OPTIONS OF THE PROGRAM"]
    for syntax, text in _own_options():
        lines += [".TP", f".B {_roff(syntax)}", _roff(text)]
    for task, commands in TASKS.items():
        lines += [f".SH {_roff(task.upper())}"]
        for name, command in commands.items():
            entry = _entry(name, command)
            paragraphs = map(_roff, entry.description.split("\n\n"))
            lines += [f".SS {_roff(entry.usage)}", "\n.PP\n".join(paragraphs)]
            for title, parameters in entry.groups:
                lines += [".PP", _roff(f"{title}:")]
                for syntax, text in parameters:
                    lines += [".TP", f".B {_roff(syntax)}", _roff(text)]
            lines += [".PP", "Examples:", ".PP", ".nf", ".RS", *map(_roff, entry.examples), ".RE", ".fi"]
    lines += [".SH EXIT STATUS"]
    for code, meaning in _exit_codes():
        lines += [".TP", f".B {code}", _roff(meaning)]
    return "\n".join([*lines, ""])


PAGES = {"reference.md": markdown, "tfserve.1": man_page}
"""The files to write into the directory of topics, each with the function that returns its text."""


def _summary() -> str:
    return str(build_app().info.help)


def _entry(name: str, command: Command) -> Entry:
    program: Any = typer.main.get_command(build_app([name]))
    defined = program.commands[name]
    context = typer.Context(defined, info_name=name)
    return Entry(
        " ".join([NAME, name, *defined.collect_usage_pieces(context)]),
        inspect.cleandoc(defined.help),
        tuple((title, _in_one_line(records)) for title, records in help_by_group(defined.params, context).items()),
        command.examples,
    )


def _own_options() -> Iterator[tuple[str, str]]:
    """The options of the program itself, with their help."""
    program: Any = typer.main.get_command(build_app())
    context = typer.Context(program, info_name=NAME, **program.context_settings)
    for records in help_by_group(program.get_params(context), context).values():
        yield from ((f"{NAME} {syntax}", text) for syntax, text in _in_one_line(records))


def _in_one_line(records: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((syntax.strip(), " ".join(text.split())) for syntax, text in records)


def _exit_codes() -> Iterator[tuple[int, str]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TfserveError)]
    meanings: dict[int, list[str]] = {0: ["Done."], **{128 + number: [text] for number, text in _SIGNALS.items()}}
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        meaning = "An unexpected error." if kind is errors.TfserveError else str(inspect.getdoc(kind))
        meanings.setdefault(kind.exit_code, []).append(meaning)
    yield from ((code, " ".join(listed)) for code, listed in sorted(meanings.items()))


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", text)


def _roff(text: str) -> str:
    escaped = " ".join(text.split()).replace("\\", r"\e")
    for sign, name in (("-", r"\-"), ("'", r"\(aq"), ('"', r"\(dq")):  # a double quote would begin an argument
        escaped = escaped.replace(sign, name)
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    for file, write in PAGES.items():
        (DIRECTORY / file).write_text(write(), encoding="utf-8")
