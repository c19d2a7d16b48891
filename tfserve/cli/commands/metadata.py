"""``tfserve metadata``: shows the signatures of a model, as reported by its server."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from tfserve.cli.completion import complete_target
from tfserve.cli.options import (
    AnyEngineOption,
    ApiOption,
    JsonOption,
    LabelOption,
    TimeoutOption,
    UrlOption,
    VersionOption,
)
from tfserve.cli.output import Output

__all__ = ["metadata"]


def metadata(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="The server or model; optional if there is only one.",
            autocompletion=complete_target,
        ),
    ] = None,
    *,
    version: VersionOption = None,
    label: LabelOption = None,
    url: UrlOption = None,
    api: ApiOption = "rest",
    timeout: TimeoutOption = 60.0,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Show the signatures of a model. --json prints the server's own document."""
    from tfserve.cli.signatures import signature_lines
    from tfserve.client.connection import connect
    from tfserve.servers.target import find_target

    output = Output(json_wanted=json)
    target = find_target(name, url=url, api=api, engine=engine)
    model = replace(target.model, version=version, label=label)
    with connect(target.address, api=api, timeout=timeout) as connection:
        found = connection.metadata(model)
    title = found.name if found.version is None else f"{found.name} version {found.version}"
    output.result(found.document, [title, *signature_lines(found.signatures)])
