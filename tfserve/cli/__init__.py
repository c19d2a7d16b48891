"""The command line: what a person types. Each module parses, calls and shows; the work is done elsewhere."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from tfserve import __version__
from tfserve.cli.output import Output
from tfserve.errors import TfserveError
from tfserve.interrupts import exit_code, raise_on_termination

__all__ = ["build_app", "main"]

DEBUG_VARIABLE = "TFSERVE_DEBUG"


class _Command(NamedTuple):
    """Where a command is defined, what the list of commands says of it, and two examples for its own help."""

    module: str
    function: str
    summary: str
    examples: tuple[str, str]


# In the order of the help. A summary is the first sentence of the command's docstring.
_COMMANDS = {
    "demo": _Command(
        "demo", "demo", "Serve a model, ask it, clean up.", ("tfserve demo", "tfserve demo --engine local")
    ),
    "pull": _Command(
        "pull", "pull", "Pull the official serving image.", ("tfserve pull", "tfserve pull --tag 2.19.1 --gpu")
    ),
    "images": _Command(
        "images",
        "images",
        "List the serving images on this engine.",
        ("tfserve images", "tfserve images --remote"),
    ),
    "run": _Command(
        "run",
        "run",
        "Serve SavedModels: start, wait until ready, try.",
        (
            "tfserve run ./my_model",
            "tfserve run ./a ./b=other --versions a:latest=2 --label a:canary=2 -- --enable_batching=true",
        ),
    ),
    "up": _Command(
        "up", "up", "Start the servers of a YAML file.", ("tfserve up", "tfserve up -f servers.yaml prod --dry-run")
    ),
    "down": _Command(
        "up", "down", "Stop and remove the servers of a YAML file.", ("tfserve down", "tfserve down prod --time 30")
    ),
    "config": _Command(
        "config",
        "config",
        "Show what a YAML file comes to.",
        ("tfserve config", "tfserve config -f servers.yaml --json"),
    ),
    "init": _Command(
        "config", "init", "Begin a YAML file.", ("tfserve init ./my_model", "tfserve init ./my_model -f servers.yaml")
    ),
    "schema": _Command(
        "config",
        "schema",
        "Print the JSON Schema of the YAML file.",
        ("tfserve schema", "tfserve schema > tfserve.schema.json"),
    ),
    "ps": _Command("servers", "ps", "List the servers, running and stopped.", ("tfserve ps", "tfserve ps --json")),
    "status": _Command(
        "servers", "status", "Show how one server does.", ("tfserve status my_model", "tfserve status my_model --json")
    ),
    "models": _Command(
        "models",
        "models",
        "Show or change what a server serves.",
        ("tfserve models prod", "tfserve models prod label my_model canary=2"),
    ),
    "logs": _Command(
        "logs",
        "logs",
        "Show the log of a server.",
        ("tfserve logs my_model --tail 20", "tfserve logs my_model -f --since 10m"),
    ),
    "stop": _Command("lifecycle", "stop", "Stop servers.", ("tfserve stop my_model", "tfserve stop a b --time 30")),
    "start": _Command(
        "lifecycle",
        "start",
        "Start stopped servers again.",
        ("tfserve start my_model", "tfserve start my_model --wait 0"),
    ),
    "restart": _Command(
        "lifecycle",
        "restart",
        "Stop servers and start them again.",
        ("tfserve restart my_model", "tfserve restart my_model --time 30"),
    ),
    "rm": _Command(
        "lifecycle",
        "remove",
        "Remove servers, with their logs.",
        ("tfserve rm my_model", "tfserve rm --force my_model"),
    ),
    "predict": _Command(
        "predict",
        "predict",
        "Ask a server to predict.",
        ("tfserve predict half_plus_two 1 2 5", "tfserve predict my_model --input age=31 --input name=Ada --json"),
    ),
    "classify": _Command(
        "classify",
        "classify",
        "Ask a server to classify examples.",
        (
            "tfserve classify half_plus_two x=1.0 x=2.0",
            "tfserve classify my_model --data examples.csv --context country=FI --json",
        ),
    ),
    "regress": _Command(
        "classify",
        "regress",
        "Ask a server for a value for each example.",
        (
            "tfserve regress half_plus_two x=1.0 --signature regress_x_to_y",
            'tfserve regress my_model \'{"age": 31.0, "name": "Ada"}\'',
        ),
    ),
    "metadata": _Command(
        "metadata",
        "metadata",
        "Show the signatures a server has.",
        ("tfserve metadata my_model", "tfserve metadata my_model --url http://127.0.0.1:8501"),
    ),
    "flags": _Command(
        "flags",
        "flags",
        "List the flags of tensorflow_model_server.",
        ("tfserve flags", "tfserve flags batching"),
    ),
    "inspect": _Command(
        "inspect",
        "inspect",
        "Show what is in a SavedModel.",
        ("tfserve inspect ./my_model", "tfserve inspect ./my_model/3 --json"),
    ),
    "cache": _Command(
        "cache",
        "cache",
        "List or clear the models unpacked from archives.",
        ("tfserve cache", "tfserve cache clear 3f9a61"),
    ),
    "package": _Command(
        "package",
        "package",
        "Make a serving image with models inside.",
        (
            "tfserve package ./my_model --image me/my_model:1",
            "tfserve package ./a ./b --image registry.example.com/models:2 --gpu --push",
        ),
    ),
    "devel": _Command(
        "devel",
        "devel",
        "Work in a development container.",
        ("tfserve devel --source ./serving", "tfserve devel -- bazel version"),
    ),
    "build": _Command(
        "build",
        "build",
        "Build a serving image from source.",
        (
            "tfserve build --source ./serving --image me/serving:1",
            "tfserve build --source ./serving --image me/serving:1 --build-option=--copt=-march=native --ram 2048",
        ),
    ),
    "doctor": _Command(
        "doctor",
        "doctor",
        "Say what of this machine is ready, and what to do about the rest.",
        ("tfserve doctor", "tfserve doctor --json"),
    ),
}
_TAKES_NEGATIVE_NUMBERS = ("predict", "classify", "regress")


def main() -> None:
    """Runs the command line, and leaves at once when it is done: tearing all modules down would take 20 ms."""
    raise_on_termination()
    code: object = 0
    try:
        build_app(sys.argv[1:])()
    except SystemExit as leaving:
        code = leaving.code or 0
    except KeyboardInterrupt as interrupt:  # before the command had begun
        code = exit_code(interrupt)
    except OSError as error:  # the help could not be written
        Output().error(TfserveError(f"The output cannot be written: {error.strerror}.", hint="See where stdout goes."))
        code = TfserveError.exit_code
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """Builds the command line.

    Args:
        arguments: what was typed. When it begins with a command, only that one is built, else only the list of them;
            so every command starts as fast as a program of one command.
    """
    app = typer.Typer(
        name="tfserve",
        help="TensorFlow Serving in one command, with Docker or without.",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help: instant, and the same in a pipe
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    first = next((argument for argument in arguments if argument != "--"), "")
    names = [first] if first in _COMMANDS else []
    if "_TFSERVE_COMPLETE" in os.environ:  # a shell asks what could come next
        names = list(_COMMANDS)
    for name in names:
        _add(app, name, _COMMANDS[name])
    if not names and first != "--version":
        for name, command in _COMMANDS.items():
            app.command(name, help=command.summary)(_listed_only)
    return app


def _listed_only() -> None:
    """Stands for a command in the list of commands, and where a command is mistyped; it never runs."""


def _add(app: typer.Typer, name: str, command: _Command) -> None:
    function = getattr(import_module(f"tfserve.cli.{command.module}"), command.function)
    examples = "\n".join(f"  {example}" for example in command.examples)
    settings = {"ignore_unknown_options": name in _TAKES_NEGATIVE_NUMBERS}
    app.command(name, epilog=f"\b\nExamples:\n{examples}", context_settings=settings)(_with_errors_told(function))


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


def _with_errors_told(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command tell its errors as a sentence, a hint and an exit code instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except typer.Exit:  # with the exit code of another program
            raise
        except BrokenPipeError:  # whoever read our output has enough: tfserve logs | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt as interrupt:
            _tell_where()
            Output().notice("Interrupted.")
            raise typer.Exit(exit_code(interrupt)) from None
        except Exception as error:
            _tell_where()
            told = error if isinstance(error, TfserveError) else _unexpected(error)
            Output().error(told)
            raise typer.Exit(told.exit_code) from None

    return wrapped


def _unexpected(error: Exception) -> TfserveError:
    return TfserveError(
        f"Unexpected {type(error).__name__}: {error}",
        hint=f"This is a defect of tfserve. {DEBUG_VARIABLE}=1 shows where it is.",
    )


def _tell_where() -> None:
    """Prints the traceback of the error being handled, when that is wanted."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        traceback.print_exc()
