"""``tfserve predict`` and ``tfserve metadata``: ask a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tfserve.cli.options import EngineOption, JsonOption
from tfserve.cli.output import Output
from tfserve.errors import NoSuchServerError, RequestError, UsageError

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
        typer.Option("--input", "-i", metavar="KEY=VALUE", help="One input by its key; repeat it for several."),
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
    from tfserve.client.payload import build_request, choose_signature, explain_mismatch, read_request
    from tfserve.client.rest import RestClient, model_path

    output = Output(json_wanted=json)
    given = [name for name, value in (("VALUES", None), ("--input", inputs), ("--data", data)) if value]
    address, model, values = _target(_checked(words or []), url, engine, alone=bool(inputs or data))
    if len(given) + bool(values) > 1:
        raise UsageError(
            "Values, --input and --data exclude each other.", hint="Give the request in one of the three ways."
        )
    with RestClient(address, timeout=timeout) as client:
        if data is not None:
            request, known = read_request(data), None
        else:
            signatures = client.metadata(model, version=version, label=label).signatures
            request = build_request(
                signatures, values=values, inputs=inputs or (), signature_name=signature, format=layout
            )
            known = choose_signature(signatures, request.signature_name)[1]
        if curl:
            path = model_path(model, version=version, label=label)
            output.shell_line(curl_line(f"{client.url}{path}:predict", request.body))
            return
        try:
            response = client.predict(model, request.body, version=version, label=label)
        except RequestError as error:
            known = known or _signature_of(client, model, request, version, label)
            raise (explain_mismatch(error, known, request.signature_name) if known else error) from None
    if json:
        output.body(response.body)
        return
    table = tabulate(response.body, signature=known, request=request.body)
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

    output = Output(json_wanted=json)
    address, model, _ = _target([name] if name is not None else [], url, engine, alone=True)
    with RestClient(address, timeout=timeout) as client:
        found = client.metadata(model, version=version, label=label)
    title = found.name if found.version is None else f"{found.name} version {found.version}"
    output.result(found.document, "\n".join([title, *signature_lines(found.signatures)]))


def _checked(words: list[str]) -> list[str]:
    """Tells values such as -1 from mistyped options, which the parser lets pass for the values' sake."""
    for word in words:
        if word.startswith("-") and not _is_json(word.replace("inf", "Infinity").replace("nan", "NaN")):
            raise UsageError(
                f"There is no option {word}.",
                hint="See tfserve predict --help. A string that begins with '-' goes into --input KEY=VALUE.",
            )
    return words


def _target(
    words: list[str], url: str | None, engine: Literal["auto", "docker", "local"], *, alone: bool
) -> tuple[str, str, list[str]]:
    """Finds the server to ask; returns its URL, the model's name, and the words that are values.

    Args:
        words: what stands on the command line: a name and values, or values alone when there is only one server.
        url: the address of a server that tfserve did not start; then the first word is the model's name.
        engine: where to look for servers.
        alone: whether a single word is the name, as the values come from elsewhere.
    """
    from tfserve.engines.lookup import find_server

    if url is not None:
        if not words:
            raise UsageError("With --url the model's name is needed.", hint="tfserve predict MODEL VALUES… --url URL")
        return url, words[0], words[1:]
    named, values = (words[0], words[1:]) if words else (None, [])
    try:
        _, server = find_server(named, engine, by_model=True, among=lambda server: server.running)
    except NoSuchServerError:
        if named is None or not _is_json(named):
            raise
        # The first word is no name but looks like a value: it goes to the only server there is.
        _, server = find_server(None, engine, among=lambda server: server.running)
        named, values = None, words
    if not server.running:
        raise NoSuchServerError(f"{server.name!r} is stopped.", hint=f"Start it: tfserve start {server.name}")
    if server.rest_url is None:
        raise RequestError(f"{server.name!r} has no REST API.", hint="It was started with --rest-port none.")
    if not values and not alone:
        raise UsageError("There is nothing to ask.", hint=f"Give values: tfserve predict {server.name} 1 2 5")
    return server.rest_url, named if named in server.models else server.models[0], values


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


def _is_json(text: str) -> bool:
    import json

    try:
        json.loads(text)
    except ValueError:
        return False
    return True
