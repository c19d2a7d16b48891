"""``tfserve classify`` and ``tfserve regress``: send examples to a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from tfserve.client.example_requests import ExampleMethod

__all__ = ["classify", "regress"]

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME] EXAMPLES...",
        help="The server or model, and features as KEY=VALUE, or examples as JSON objects. An integer is sent as "
        "int64, 1.0 as float, everything else as bytes.",
        autocompletion=complete_target,
    ),
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="KEY=VALUE", help="The feature KEY of an example; repeat a key for several examples."
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="FILE|-|JSON",
        help="A whole request body, sent unchanged; or a .jsonl or .csv file with one example per line.",
    ),
]
ContextOption = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="KEY=VALUE|JSON", help="A feature that all examples share; repeatable."),
]


def _command(method: ExampleMethod, summary: str) -> Callable[..., None]:
    """Returns the command for `method`, with `summary` as its help."""

    def command(
        ctx: typer.Context,
        words: WordsArgument = None,
        *,
        inputs: FeatureOption = None,
        context: ContextOption = None,
        data: DataOption = None,
        signature: SignatureOption = None,
        version: VersionOption = None,
        label: LabelOption = None,
        url: UrlOption = None,
        api: ApiOption = "rest",
        timeout: TimeoutOption = 60.0,
        curl: CurlOption = False,
        engine: AnyEngineOption = "auto",
        json: JsonOption = False,
    ) -> None:
        from tfserve.client.connection import connect
        from tfserve.client.example_requests import examples_request, looks_like_example
        from tfserve.servers.target import split_words

        output = Output(json_wanted=json)
        refuse_unknown_options(words or [], ctx)
        target, typed = split_words(words or [], url=url, api=api, engine=engine, is_value=looks_like_example)
        model = replace(target.model, version=version, label=label)
        with connect(target.address, api=api, timeout=timeout) as connection:
            request = examples_request(
                connection,
                model,
                method,
                words=typed,
                inputs=inputs or (),
                context=context or (),
                data=data,
                signature=signature,
            )
            show_inference(output, connection, model, request, curl=curl)

    command.__doc__ = summary
    return command


classify = _command(
    "classify",
    "Send a classify request. The classes are shown as a table; --json prints the response unchanged.",
)
regress = _command(
    "regress",
    "Send a regress request. The values are shown as a table; --json prints the response unchanged.",
)
