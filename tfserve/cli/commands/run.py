"""``tfserve run``: starts a server of one or more models, waits for it, and sends it a test request."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfserve.cli.field_options import given_fields, with_fields
from tfserve.cli.options import (
    JsonOption,
    LabelsOption,
    ModelWords,
    Sha256sOption,
    VersionsOption,
)
from tfserve.cli.output import Output
from tfserve.errors import TfserveError, UsageError
from tfserve.spec.fields import option_names

if TYPE_CHECKING:
    from tfserve.spec.model import ModelSpec
    from tfserve.spec.serve import LaunchOptions, ServeSpec

__all__ = ["run"]


@with_fields
def run(
    words: ModelWords = None,
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Name of the server, and of its only model.  [default: name of the directory]",
            rich_help_panel="Model",
        ),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option(
            "--model-name",
            metavar="NAME",
            help="Name of the model, if it differs from the server's.",
            rich_help_panel="Model",
        ),
    ] = None,
    versions: VersionsOption = None,
    label: LabelsOption = None,
    sha256: Sha256sOption = None,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Follow the log, and stop the server on Ctrl-C.", rich_help_panel="Lifetime"),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Also write the server to a YAML file, for tfserve up -f FILE.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the equivalent docker run line, and start nothing."),
    ] = False,
    json: JsonOption = False,
    **fields: Any,
) -> None:
    """Start a server for SavedModels, and test it.

    The command returns when the models are loaded and each has answered one predict request.
    """
    from tfserve.cli.show_server import show_launched
    from tfserve.servers import launch as launching
    from tfserve.spec.field_parsers import Context
    from tfserve.spec.image import ImageReference
    from tfserve.spec.serve import LaunchOptions, ServeSpec
    from tfserve.spec.values import check_name

    output = Output(json_wanted=json)
    if name is not None:
        check_name(name, kind="server", attribute="name")
    paths, server_flags = _split(words or [])
    given = given_fields(fields)
    options = LaunchOptions.parse(given, Context())
    if server_flags:
        given["server_flags"] = server_flags
    config = None if given.get("config") is None else Path(given["config"])
    model_options = _ModelOptions(model_name, versions or [], label or [], sha256 or [])
    models = _models(paths, name, model_options, config=config, inside_image=given.get("image") is not None)
    default = models[0].name if models else ImageReference.parse(given.get("image")).default_name
    spec = ServeSpec.parse({**given, "name": default if name is None else name, "models": models}, Context())
    if options.smoke_test == "-":
        options = replace(options, smoke_test=sys.stdin.read())
    with _saved(save, spec, options):
        if dry_run:
            from tfserve.servers.smoke_test import read_test_request

            read_test_request(options)
            with launching.planned(spec, options.engine, output, replace=options.replace) as planned:
                output.shell_line(planned.command_line)
                if planned.plan.sandbox is not None:
                    output.notice(launching.WITHOUT_SANDBOX)
            return
        launched = launching.launch(spec, options, output)
    if foreground:
        from tfserve.cli.show_server import follow

        follow(launched, output)
        return
    try:
        show_launched(launched, output)
    except TfserveError:  # the user cannot know about the server
        launched.server.remove()
        raise


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Splits the arguments into models and server flags."""
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first], words[first:]


@dataclass(frozen=True)
class _ModelOptions:
    """The options that describe models; each may name one of several models, as MODEL:VALUE."""

    model_name: str | None
    versions: Sequence[str]
    labels: Sequence[str]
    sha256: Sequence[str]

    def given(self) -> str:
        """Lists those that were given; empty if there are none."""
        return ", ".join(option_names(name) for name, value in vars(self).items() if value)


def _models(
    paths: Sequence[str], name: str | None, options: _ModelOptions, *, config: Path | None, inside_image: bool
) -> tuple[ModelSpec, ...]:
    """Returns the models of the command line or of a models.config; none if they are inside the image."""
    from tfserve.cli.model_arguments import parse_models
    from tfserve.spec.models_config import read_models_config

    given = options.given()
    if config is not None:
        if others := ", ".join(filter(None, ("MODEL_DIR" if paths else "", given))):
            raise UsageError(
                f"--config cannot be combined with {others}: the file names the models and their versions.",
                hint="Edit the file, or leave --config out.",
            )
        return read_models_config(config)
    if not paths:
        if given and inside_image:
            raise UsageError(
                f"{given} cannot be used with a model inside an image, which has a name and versions.",
                hint="Leave them out; --name sets the name of the server.",
            )
        return ()
    only = name if options.model_name is None and len(paths) == 1 else options.model_name
    return parse_models(paths, name=only, versions=options.versions, labels=options.labels, digests=options.sha256)


@contextmanager
def _saved(file: Path | None, spec: ServeSpec, options: LaunchOptions) -> Iterator[None]:
    """Writes the server to a YAML file; if the block fails, the file is removed."""
    if file is None:
        yield
        return
    from tfserve.cli.commands.config import write_new
    from tfserve.config.read import ConfiguredServer
    from tfserve.config.write import write_servers

    # Variables and addresses may contain secrets, so that only the user may read the file.
    secret = bool(spec.environment) or any(isinstance(model.path, str) for model in spec.models)
    write_new(file, write_servers([ConfiguredServer(spec, options)]), secret=secret)
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise
