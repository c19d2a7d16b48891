"""What ``tfserve predict``, ``classify`` and ``regress`` share: they check their arguments and show the response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfserve.cli.output import Output
from tfserve.cli.program import option_names
from tfserve.errors import UsageError
from tfserve.text import did_you_mean

if TYPE_CHECKING:
    import typer

    from tfserve.client.connection import Connection
    from tfserve.client.messages import InferenceRequest
    from tfserve.client.model_ref import ModelRef

__all__ = ["refuse_unknown_options", "show_inference"]


def refuse_unknown_options(words: Sequence[str], ctx: typer.Context) -> None:
    """Refuses mistyped options. The parser accepts any word with a dash, because it may be a value such as -1.

    Args:
        words: the words that were parsed as values.
        ctx: the context of the command.

    Raises:
        UsageError: one of `words` looks like an option.
    """
    from tfserve.client.values import looks_like_value

    for word in words:
        if word.startswith("-") and not looks_like_value(word):
            hint = f"See tfserve {ctx.info_name} --help. Pass a string that begins with '-' as --input KEY=VALUE."
            near = did_you_mean(word.partition("=")[0], option_names(ctx))
            raise UsageError(f"No such option: {word}.", hint=" ".join(filter(None, (near, hint))))


def show_inference(
    output: Output, connection: Connection, model: ModelRef, request: InferenceRequest, *, curl: bool
) -> None:
    """Sends `request` and prints the response: a table, or with ``--json`` the server's own bytes.

    Args:
        output: where to print.
        connection: the server.
        model: the model that the request is for.
        request: the request.
        curl: print the equivalent curl command instead of sending the request.

    Raises:
        RequestError: the request failed.
        UsageError: the request cannot be sent over gRPC.
    """
    if curl:
        from tfserve.client.curl import curl_command

        output.shell_line(curl_command(connection, model, request))
        return
    from tfserve.client.inference import infer, response_table
    from tfserve.client.transport.reading_time import ReadingTime

    time = ReadingTime(connection.url, connection.timeout)
    response = infer(connection, model, request)
    if output.json_wanted:
        output.body(response.body)
        return
    table = response_table(request, response, time.check)
    output.table(table.columns, table.rows)
    if table.omitted:
        output.notice(f"{table.omitted} more rows; --json shows all.")
