"""What ``tfserve predict``, ``classify`` and ``regress`` share: the words, ``--data``, the curl line and the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfserve.cli.output import Output
from tfserve.cli.program import option_names
from tfserve.errors import UsageError
from tfserve.text import did_you_mean

if TYPE_CHECKING:
    import typer

    from tfserve.client.answer_table import Table
    from tfserve.client.connection import Connection
    from tfserve.client.rest import InferenceResponse, Verb
    from tfserve.servers.target import Target

__all__ = ["refuse_beside_data", "refuse_unknown_options", "show_answer", "show_curl"]


def refuse_unknown_options(words: Sequence[str], ctx: typer.Context) -> None:
    """Tells values such as -1 from mistyped options, which the parser lets pass for the values' sake.

    Args:
        words: what the parser took for values.
        ctx: the command they were typed behind.

    Raises:
        UsageError: one of `words` is an option that there is not.
    """
    from tfserve.client.values import looks_like_value

    for word in words:
        if word.startswith("-") and not looks_like_value(word):
            hint = f"See tfserve {ctx.info_name} --help. A string that begins with '-' goes into --input KEY=VALUE."
            near = did_you_mean(word.partition("=")[0], option_names(ctx))
            raise UsageError(f"There is no option {word}.", hint=" ".join(filter(None, (near, hint))))


def refuse_beside_data(what: str, hint: str, **given: object) -> None:
    """Refuses options that say again, or otherwise, what ``--data`` says.

    Raises:
        UsageError: one of `given` is given.
    """
    beside = [name if name == "values" else f"--{name}" for name, value in given.items() if value]
    if beside:
        raise UsageError(f"--data is {what}, and excludes {', '.join(beside)}.", hint=hint)


def show_curl(
    output: Output, client: Connection, verb: Verb, target: Target, body: bytes, version: int | None, label: str | None
) -> None:
    """Prints the curl line that asks the same.

    Raises:
        UsageError: curl cannot ask over gRPC.
    """
    from tfserve.client.curl import curl_line
    from tfserve.client.rest import model_path

    if client.api != "rest":
        raise UsageError("curl asks over REST.", hint="Leave --api grpc or --curl out.")
    path = model_path(target.model, version=version, label=label)
    output.shell_line(curl_line(f"{client.url}{path}:{verb}", body))


def show_answer(output: Output, response: InferenceResponse, tabulated: Callable[[], Table]) -> None:
    """Prints the server's own answer, byte for byte, or a table of it."""
    if output.json_wanted:
        output.body(response.body)
        return
    table = tabulated()
    output.table(table.columns, table.rows)
    if table.omitted:
        output.notice(f"{table.omitted} more rows; --json shows all.")
