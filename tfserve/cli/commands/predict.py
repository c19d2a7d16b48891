"""``tfserve predict``: asks a server to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

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
from tfserve.errors import RequestError, UsageError

if TYPE_CHECKING:
    from tfserve.client.connection import Connection
    from tfserve.client.predict_request import PredictRequest
    from tfserve.models.saved_model import Signature

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
        typer.Option("--input", metavar="KEY=VALUE", help="One input by its key; repeat it for several."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            metavar="FILE|-|JSON",
            help="A whole request body, sent as it is; or a .jsonl or .csv file with an instance a line.",
        ),
    ] = None,
    signature: SignatureOption = None,
    version: VersionOption = None,
    label: LabelOption = None,
    layout: Annotated[
        Literal["row", "column"] | None,
        typer.Option("--format", help="How the request is laid out.  [default: whichever fits]"),
    ] = None,
    url: UrlOption = None,
    api: ApiOption = "rest",
    timeout: TimeoutOption = 60.0,
    curl: CurlOption = False,
    engine: EngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Ask a server to predict. The answer is shown as a table, or as it is with --json."""
    from tfserve.client.answer_table import tabulate
    from tfserve.client.connection import connect
    from tfserve.client.data_files import is_csv, is_json_lines, read_csv
    from tfserve.client.failures import RefusedError
    from tfserve.client.predict_request import build_request, explain_mismatch, read_request
    from tfserve.client.signature_choice import choose_signature
    from tfserve.servers.target import split_words

    output = Output(json_wanted=json)
    refuse_unknown_options(words or [], ctx)
    target, values = split_words(words or [], url=url, api=api, engine=engine)
    if data is not None:
        lines = is_json_lines(data) or is_csv(data)
        refuse_beside_data(
            "the whole request",
            'The request says it all: "signature_name", and "instances" for rows or "inputs" for columns.',
            values=values,
            input=inputs,
            signature=None if lines else signature,
            format=None if is_csv(data) else layout,
        )
    with connect(target.address, api=api, timeout=timeout) as client:
        if data is not None and not is_csv(data):
            request, known = read_request(data, signature_name=signature), None
        else:
            rows = read_csv(data) if data is not None else ()
            signatures = client.metadata(target.model, version=version, label=label).signatures
            request = build_request(
                signatures, values=values, inputs=inputs or (), rows=rows, signature_name=signature, format=layout
            )
            known = choose_signature(signatures, request.signature_name)[1]
        if curl:
            show_curl(output, client, "predict", target, request.body, version, label)
            return
        try:
            response = client.ask("predict", target.model, request.body, version=version, label=label)
        except RequestError as error:
            if known is None and isinstance(error, RefusedError) and error.status == 400:
                known = _signature_of(client, target.model, request, version, label)
            raise (explain_mismatch(error, known, request.signature_name) if known else error) from None
    show_answer(output, response, lambda: tabulate(response.document, signature=known, request=request.body))


def _signature_of(
    client: Connection, model: str, request: PredictRequest, version: int | None, label: str | None
) -> Signature | None:
    """The signature that a refused request was for, if the server still tells."""
    from tfserve.client.signature_choice import choose_signature

    try:
        signatures = client.metadata(model, version=version, label=label).signatures
        return choose_signature(signatures, request.signature_name)[1]
    except (RequestError, UsageError):
        return None
