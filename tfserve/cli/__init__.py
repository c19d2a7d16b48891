"""The command line. Its modules parse arguments, call other packages and show results; the work is done there."""

from __future__ import annotations

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any

import typer

from tfserve._version import __version__
from tfserve.cli import completion
from tfserve.cli.command_table import COMMANDS, Command
from tfserve.cli.output import Output, output_error
from tfserve.cli.program import OneCommand, Program
from tfserve.errors import SkippedWarning, TfserveError
from tfserve.interrupts import begin_cleaning_up, exit_code, raise_on_termination
from tfserve.text import quoted_line

__all__ = ["build_app", "main"]

NAME = "tfserve"
DEBUG_VARIABLE = "TFSERVE_DEBUG"


def main() -> None:
    """Runs the command line, and exits without tearing all modules down, which would take 20 ms."""
    raise_on_termination()
    arguments = sys.argv[1:]
    if arguments[:1] == ["help"] and len(arguments) == 2 and arguments[1] in COMMANDS:
        arguments = [arguments[1], "--help"]
    code: object = 0
    try:
        build_app(completion.begin() or arguments)(arguments, prog_name=NAME, complete_var=completion.VARIABLE)
    except SystemExit as leaving:
        code = leaving.code or 0
    except KeyboardInterrupt as interrupt:  # before the command started
        code = exit_code(interrupt)
    except OSError as error:  # the help could not be written
        Output().error(output_error(error))
        code = TfserveError.exit_code
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """Builds the command line.

    Args:
        arguments: the arguments of the process. If the first is a command, only this command is built, so that it
            starts as fast as a program with a single command.
    """
    app = typer.Typer(
        name=NAME,
        cls=Program,
        help="TensorFlow Serving in one command, with Docker or without.",
        epilog="tfserve help COMMAND shows the options of a command, with examples; tfserve help lists the topics.",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help needs no rich, and is the same in a pipe
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    first = next((argument for argument in arguments if argument != "--"), "")
    for name, command in COMMANDS.items():
        if name == first:
            _add(app, name, command)
        elif completion.is_wanted():
            app.command(name, help=command.summary)(_listed_only)
    return app


def _listed_only() -> None:
    """A placeholder for a command whose name a shell may complete; it never runs."""


def _add(app: typer.Typer, name: str, command: Command) -> None:
    function = getattr(import_module(f"tfserve.cli.commands.{command.module}"), command.function)
    examples = "\n".join(f"  {example}" for example in command.examples)
    settings = {"ignore_unknown_options": command.takes_negative_numbers}
    app.command(name, cls=OneCommand, epilog=f"\b\nExamples:\n{examples}", context_settings=settings)(
        _with_errors_shown(function)
    )


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda wanted: _show_version(wanted), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """TensorFlow Serving in one command, with Docker or without."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tfserve {__version__}")
        raise typer.Exit


def _with_errors_shown(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command show its errors as a sentence, a hint and an exit code instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            begin_cleaning_up()
            with _warnings_shown():
                command(*args, **options)
        except typer.Exit:  # with the exit code of another program
            raise
        except BrokenPipeError:  # the reader of the output has exited: tfserve logs | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt as interrupt:
            _show_traceback()
            Output().notice("Interrupted.")
            raise typer.Exit(exit_code(interrupt)) from None
        except Exception as error:
            _show_traceback()
            shown = error if isinstance(error, TfserveError) else _unexpected(error)
            Output().error(shown)
            raise typer.Exit(shown.exit_code) from None

    return wrapped


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Shows each `SkippedWarning` once, as a notice."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", SkippedWarning)
        show = warnings.showwarning

        def show_notice(message: Warning | str, category: type[Warning], *arguments: Any, **options: Any) -> None:
            if issubclass(category, SkippedWarning):
                Output().notice(str(message))
            else:
                show(message, category, *arguments, **options)

        warnings.showwarning = show_notice
        yield


def _unexpected(error: Exception) -> TfserveError:
    return TfserveError(
        f"Unexpected {type(error).__name__}: {error}",
        hint=f"This is a bug in tfserve. Set {DEBUG_VARIABLE}=1 to see the traceback.",
    )


def _show_traceback() -> None:
    """Prints the traceback of the error being handled, if the user asked for it."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        sys.stderr.write("".join(f"{quoted_line(line)}\n" for line in traceback.format_exc().splitlines()))
