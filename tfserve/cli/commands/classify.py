"""``tfserve classify`` and ``tfserve regress``: ask a server about examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tfserve.cli.completion import complete_target
from tfserve.cli.inference import refuse_beside_data, refuse_unknown_options, show_answer, show_curl
from tfserve.cli.options import (
    ApiOption,
    CurlOption,
    EngineOption,
    JsonOption,
    LabelOption,
    SignatureOption,
    TimeoutOption,
    UrlOption,
    VersionOption,
)
from tfserve.cli.output import Output
from tfserve.errors import RequestError

if TYPE_CHECKING:
    from tfserve.client.example_requests import ExampleVerb

__all__ = ["classify", "regress"]

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME] EXAMPLES...",
        help="The server or model, and features as KEY=VALUE, or examples as JSON objects. A whole number is an int64, "
        "1.0 a float, everything else bytes.",
        autocompletion=complete_target,
    ),
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="KEY=VALUE", help="One feature by its key; repeat it for several examples."),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="FILE|-|JSON",
        help="A whole request body, sent as it is; or a .jsonl or .csv file with an example a line.",
    ),
]
ContextOption = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="KEY=VALUE|JSON", help="A feature that all examples share; repeatable."),
]


def _command(verb: ExampleVerb, summary: str) -> Callable[..., None]:
    """Returns the command that asks `verb`, with `summary` as its help."""

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
        engine: EngineOption = "auto",
        json: JsonOption = False,
    ) -> None:
        from tfserve.client import example_requests
        from tfserve.client.connection import connect
        from tfserve.client.results import tabulate_results
        from tfserve.servers.target import split_words

        output = Output(json_wanted=json)
        refuse_unknown_options(words or [], ctx)
        target, typed = split_words(words or [], url=url, api=api, engine=engine, is_value=example_requests.looks_typed)
        features = [*typed, *(inputs or ())]
        given = example_requests.read_examples(data) if data is not None else None
        if data is not None:
            whole = not isinstance(given, list)
            refuse_beside_data(
                "the whole request" if whole else "all examples",
                "Put all examples into it, or type them all.",
                values=typed,
                input=inputs,
                context=context if whole else None,
                signature=signature if whole else None,
            )
        with connect(target.address, api=api, timeout=timeout) as client:
            if isinstance(given, example_requests.ExamplesRequest):
                request = given
            else:
                signatures = client.metadata(target.model, version=version, label=label).signatures
                request = example_requests.build_examples(
                    example_requests.read_words(features) if given is None else given,
                    signature_name=example_requests.choose_example_signature(signatures, verb, signature)[0],
                    context=example_requests.read_context(context or ()),
                )
            if curl:
                show_curl(output, client, verb, target, request.body, version, label)
                return
            try:
                response = client.ask(verb, target.model, request.body, version=version, label=label)
            except RequestError as error:
                raise example_requests.explain_examples(error, request) from None
        show_answer(output, response, lambda: tabulate_results(verb, response.document, request=request.body))

    command.__doc__ = summary
    return command


classify = _command(
    "classify", "Ask a server to classify examples. The classes are shown as a table, or as they are with --json."
)
regress = _command(
    "regress", "Ask a server for a value for each example. They are shown as a table, or as they are with --json."
)
