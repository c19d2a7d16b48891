"""The options and arguments that several commands share, each defined once."""

from __future__ import annotations

from typing import Annotated

import typer

from tfserve.defaults import EngineChoice

__all__ = [
    "EngineOption",
    "JsonOption",
    "ModelArgument",
    "OptionalName",
    "OptionalNames",
    "Sha256Option",
    "TimeOption",
    "WaitOption",
]

EngineOption = Annotated[
    EngineChoice,
    typer.Option("--engine", help="What runs the server: Docker, a local process, or whichever there is."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_DIR",
        help="A directory of versions, one version, or a SavedModel; or an archive of one (.tar.gz, .tgz, .tar, .zip), "
        "here or at an https:// address; or a base path in a bucket (s3://, gs://).",
    ),
]
OptionalName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The server; not needed when there is only one.")
]
OptionalNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="The servers; not needed when there is only one.")
]
Sha256Option = Annotated[
    str | None, typer.Option("--sha256", metavar="DIGEST", help="The SHA-256 that the archive has to have.")
]
TimeOption = Annotated[
    float, typer.Option("--time", "-t", metavar="SECONDS", min=0, help="How long it may take to end by itself.")
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait until it is ready; 0 for not at all."),
]
