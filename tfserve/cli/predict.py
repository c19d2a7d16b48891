"""``tfserve predict`` and ``tfserve metadata``: ask a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tfserve.cli.options import EngineOption, JsonOption
from tfserve.cli.output import Output
from tfserve.errors import RequestError, UsageError

if TYPE_CHECKING:
    from tfserve.client.payload import PredictRequest
    from tfserve.client.rest import RestClient
    from tfserve.saved_model import Signature

__all__ = ["metadata", "predict"]

UrlOption = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="A server that tfserve did not start: http://HOST:PORT.")
]
VersionOption = Annotated[int | None, typer.Option("--version", min=0, help="The version to ask.  [default: newest]")]
LabelOption = Annotated[str | None, typer.Option("--label", help="The version with this label.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for the answer.")]


def predict(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME] VALUES...", help="The server or model, and numbers, strings or JSON."),
    ] = None,
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="KEY=VALUE", help="One input by its key; repeat it for several."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar="FILE|-|JSON", help="A whole request body, sent as it is.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--signature", "-s", help="The signature to call.  [default: serving_default]")
    ] = None,
    version: VersionOption = None,
    label: LabelOption = None,
    layout: Annotated[
        Literal["row", "column"] | None,
        typer.Option("--format", help="How the request is laid out.  [default: whichever fits]"),
    ] = None,
    url: UrlOption = None,
    timeout: TimeoutOption = 60.0,
    curl: Annotated[bool, typer.Option("--curl", help="Print the equivalent curl line, and ask nothing.")] = False,
    engine: EngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Ask a server to predict. The answer is shown as a table, or as it is with --json."""
    from tfserve.client.answer import tabulate
    from tfserve.client.curl import curl_line
    from tfserve.client.failures import RefusedError
    from tfserve.client.payload import build_request, choose_signature, explain_mismatch, read_request
    from tfserve.client.rest import RestClient, model_path
    from tfserve.target import split_words

    output = Output(json_wanted=json)
    _refuse_unknown_options(words or [])
    target, values = split_words(words or [], url=url, engine=engine)
    if data is not None:
        ways = (("values", values), ("--input", inputs), ("--signature", signature), ("--format", layout))
        beside = [name for name, given in ways if given]
        if beside:
            raise UsageError(
                f"--data is the whole request, and excludes {', '.join(beside)}.",
                hint='The request says it all: "signature_name", and "instances" for rows or "inputs" for columns.',
            )
    with RestClient(target.url, timeout=timeout) as client:
        if data is not None:
            request, known = read_request(data), None
        else:
            signatures = client.metadata(target.model, version=version, label=label).signatures
            request = build_request(
                signatures, values=values, inputs=inputs or (), signature_name=signature, format=layout
            )
            known = choose_signature(signatures, request.signature_name)[1]
        if curl:
            path = model_path(target.model, version=version, label=label)
            output.shell_line(curl_line(f"{client.url}{path}:predict", request.body))
            return
        try:
            response = client.predict(target.model, request.body, version=version, label=label)
        except RequestError as error:
            if known is None and isinstance(error, RefusedError) and error.status == 400:
                known = _signature_of(client, target.model, request, version, label)
            raise (explain_mismatch(error, known, request.signature_name) if known else error) from None
    if json:
        output.body(response.body)
        return
    table = tabulate(response.document, signature=known, request=request.body)
    output.table(table.columns, table.rows)
    if table.omitted:
        output.notice(f"{table.omitted} more rows; --json shows all.")


def metadata(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The server or model; not needed when there is only one.")
    ] = None,
    *,
    version: VersionOption = None,
    label: LabelOption = None,
    url: UrlOption = None,
    timeout: TimeoutOption = 60.0,
    engine: EngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Show the signatures a server has. --json prints the server's own document."""
    from tfserve.cli.signatures import signature_lines
    from tfserve.client.rest import RestClient
    from tfserve.target import find_target

    output = Output(json_wanted=json)
    target = find_target(name, url=url, engine=engine)
    with RestClient(target.url, timeout=timeout) as client:
        found = client.metadata(target.model, version=version, label=label)
    title = found.name if found.version is None else f"{found.name} version {found.version}"
    output.result(found.document, "\n".join([title, *signature_lines(found.signatures)]))


def _refuse_unknown_options(words: Sequence[str]) -> None:
    """Tells values such as -1 from mistyped options, which the parser lets pass for the values' sake.

    Raises:
        UsageError: one of `words` is an option that there is not.
    """
    from tfserve.client.values import looks_like_value

    for word in words:
        if word.startswith("-") and not looks_like_value(word):
            raise UsageError(
                f"There is no option {word}.",
                hint="See tfserve predict --help. A string that begins with '-' goes into --input KEY=VALUE.",
            )


def _signature_of(
    client: RestClient, model: str, request: PredictRequest, version: int | None, label: str | None
) -> Signature | None:
    """The signature that a refused request was for, if the server still tells."""
    from tfserve.client.payload import choose_signature

    try:
        signatures = client.metadata(model, version=version, label=label).signatures
        return choose_signature(signatures, request.signature_name)[1]
    except (RequestError, UsageError):
        return None
