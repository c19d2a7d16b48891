"""``tfserve predict``: sends a predict request to a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import typer

from tfserve.cli.completion import complete_target
from tfserve.cli.inference import refuse_unknown_options, show_inference
from tfserve.cli.options import (
    AnyEngineOption,
    ApiOption,
    CurlOption,
    JsonOption,
    LabelOption,
    SignatureOption,
    TimeoutOption,
    UrlOption,
    VersionOption,
)
from tfserve.cli.output import Output

__all__ = ["predict"]


def predict(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] VALUES...",
            help="The server or model, and numbers, strings or JSON.",
            autocompletion=complete_target,
        ),
    ] = None,
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="KEY=VALUE", help="A value for the input KEY; repeatable."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            metavar="FILE|-|JSON",
            help="A whole request body, sent unchanged; or a .jsonl or .csv file with one instance per line.",
        ),
    ] = None,
    signature: SignatureOption = None,
    version: VersionOption = None,
    label: LabelOption = None,
    layout: Annotated[
        Literal["row", "column"] | None,
        typer.Option("--format", help="The format of the request.  [default: row if the signature allows it]"),
    ] = None,
    url: UrlOption = None,
    api: ApiOption = "rest",
    timeout: TimeoutOption = 60.0,
    curl: CurlOption = False,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Send a predict request. The response is shown as a table; --json prints it unchanged."""
    from tfserve.client.connection import connect
    from tfserve.client.predict_request import predict_request
    from tfserve.servers.target import split_words

    output = Output(json_wanted=json)
    refuse_unknown_options(words or [], ctx)
    target, values = split_words(words or [], url=url, api=api, engine=engine)
    model = replace(target.model, version=version, label=label)
    with connect(target.address, api=api, timeout=timeout) as connection:
        request = predict_request(
            connection, model, values=values, inputs=inputs or (), data=data, signature=signature, format=layout
        )
        show_inference(output, connection, model, request, curl=curl)
