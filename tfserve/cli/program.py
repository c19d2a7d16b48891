"""The program and its commands as Typer sees them: help by task, and the nearest name for a mistyped one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand, TyperGroup

from tfserve.cli.command_table import COMMANDS, TASKS
from tfserve.cli.typer_versions import choices_of, convert_without_pydantic, show_metavars
from tfserve.text import did_you_mean, one_line, printable

__all__ = ["OneCommand", "Program", "help_by_group", "option_names"]


_ARGUMENTS, _OPTIONS = "Arguments", "Options"
_NOT_ONE_OF = re.compile(r"'(.*?)' is not one of")  # the beginning of click's error for a value that is not a choice


class OneCommand(TyperCommand):
    """A command that suggests the nearest option or choice for a mistyped one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        show_metavars(self.params)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses `args` into `ctx`, and returns the rest."""
        if ctx.resilient_parsing and args and args[-1] in option_names(ctx):
            args = args[:-1]  # the shell completes its value; without one, nothing would be parsed
        _refuse_contradictions(ctx, args)
        convert_without_pydantic(self.get_params(ctx))
        with _nearest_suggested(ctx):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, and the options in their groups."""
        for group, records in help_by_group(self.get_params(ctx), ctx).items():
            with formatter.section(group):
                formatter.write_dl(records)


def help_by_group(parameters: Iterable[Any], ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Returns the syntax and help of parameters, by the title of their group; options without a group come last."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in sorted(parameters, key=lambda parameter: _group_of(parameter) == _OPTIONS):
        record = parameter.get_help_record(ctx)
        if record is not None:
            groups.setdefault(_group_of(parameter), []).append(record)
    return groups


def _group_of(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _ARGUMENTS
    return getattr(parameter, "rich_help_panel", None) or _OPTIONS  # --help is an option of click, which has no panels


class Program(TyperGroup):
    """The list of commands; only those that are needed have been added."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses `args` into `ctx`, and returns the rest."""
        convert_without_pydantic(self.get_params(ctx))
        with _nearest_suggested(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds the command that `args` begin with, or suggests the nearest one."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, COMMANDS, "tfserve ") or "tfserve --help lists them."
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes all commands with their summaries, grouped by task."""
        width = max(map(len, COMMANDS))
        for task, commands in TASKS.items():
            with formatter.section(task):
                formatter.write_dl([(name.ljust(width), command.summary) for name, command in commands.items()])


def option_names(ctx: Any) -> list[str]:
    """The options of the command that is being run, with their dashes."""
    parameters = ctx.command.get_params(ctx)
    names = [name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)]
    return [name for name in names if name.startswith("-")]


def _refuse_contradictions(ctx: Any, args: list[str]) -> None:
    """Refuses an option together with its opposite; click would use the last one."""
    typed = args[: args.index("--")] if "--" in args else args
    for parameter in ctx.command.get_params(ctx):
        for names in zip(parameter.opts, parameter.secondary_opts, strict=False):
            if all(name in typed for name in names) and not ctx.resilient_parsing:
                ctx.fail(f"{names[0]} cannot be combined with {names[1]}.")


@contextmanager
def _nearest_suggested(ctx: Any) -> Iterator[None]:
    """Adds the nearest name to errors for unknown options and choices."""
    try:
        yield
    except Exception as caught:
        error: Any = caught
        if getattr(error, "possibilities", None) is not None:  # Typer's own guesses
            hint = did_you_mean(error.option_name, option_names(ctx))
            error.message = " ".join(filter(None, (f"No such option: {printable(error.option_name)}.", hint)))
            error.possibilities = None
        if getattr(error, "param", None) is not None and hasattr(error, "message"):
            error.message = error.message.removeprefix("Value error, ")  # pydantic's words, not those of Typer
        choices = choices_of(getattr(error, "param", None))
        if choices and (typed := _NOT_ONE_OF.match(error.message)):
            error.message = " ".join(filter(None, (error.message, did_you_mean(typed[1], choices))))
        if hasattr(error, "message"):
            error.message = one_line(str(error.message))
        raise
