"""The options and arguments that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfserve.defaults import EngineChoice

__all__ = [
    "EngineOption",
    "FileOption",
    "JsonOption",
    "LabelsOption",
    "OptionalName",
    "OptionalNames",
    "TimeOption",
    "VersionsOption",
    "WaitOption",
]

EngineOption = Annotated[
    EngineChoice,
    typer.Option("--engine", help="What runs the server: Docker, a local process, or whichever there is."),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="The YAML file.  [default: tfserve.yaml]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="[MODEL:]LABEL=VERSION", help="A name for a version; repeatable."),
]
VersionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--versions",
        metavar="[MODEL:]VERSIONS",
        help="Which versions: latest, latest=2, all, or 1,3; repeatable.  [default: latest]",
    ),
]
OptionalName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The server; not needed when there is only one.")
]
OptionalNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="The servers; not needed when there is only one.")
]
TimeOption = Annotated[
    float, typer.Option("--time", "-t", metavar="SECONDS", min=0, help="How long it may take to end by itself.")
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait until it is ready; 0 for not at all."),
]
