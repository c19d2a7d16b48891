"""``tfserve cache``: the models that came out of archives."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["cache"]

_DIGITS = 12


def cache(
    action: Annotated[
        Literal["list", "clear"], typer.Argument(metavar="[list|clear]", help="What to do.  [default: list]")
    ] = "list",
    digests: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DIGEST]...", help="Which ones to clear, by their first digits; all without."),
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """List or clear the models unpacked from archives. What a server has is kept."""
    from tfserve.errors import UsageError

    output = Output(json_wanted=json)
    if action == "clear":
        _clear(digests or [], output)
    elif digests:
        raise UsageError("tfserve cache list takes no DIGEST.", hint="To remove one: tfserve cache clear DIGEST")
    else:
        _list(output)


def _list(output: Output) -> None:
    from tfserve.models.cache import cache_root, cached_models
    from tfserve.text import rfc3339

    models = cached_models()
    if output.json_wanted:
        entries = [
            {
                "digest": model.digest,
                "source": model.source,
                "bytes": model.size,
                "files": model.files,
                "created": rfc3339(model.created),
                "path": str(model.path),
            }
            for model in models
        ]
        output.result({"path": str(cache_root()), "models": entries}, "")
    elif not models:
        output.text("The cache is empty. It fills by: tfserve run my_model.tar.gz")
    else:
        rows = [
            (model.digest[:_DIGITS], size_text(model.size), f"{model.created:%Y-%m-%d %H:%M}", model.source)
            for model in models
        ]
        output.table(("DIGEST", "SIZE", "UNPACKED (UTC)", "SOURCE"), rows)


def _clear(digests: list[str], output: Output) -> None:
    from tfserve.servers.prune_cache import prune

    cleared = prune(digests)
    for model, servers in cleared.kept:
        output.notice(f"Kept {model.digest[:_DIGITS]}, which {', '.join(servers)} has: {model.source}")
    freed = sum(model.size for model in cleared.removed)
    count = len(cleared.removed)
    output.result(
        {
            "removed": [model.digest for model in cleared.removed],
            "kept": [{"digest": model.digest, "servers": list(servers)} for model, servers in cleared.kept],
            "freed_bytes": freed,
        },
        f"Removed {count} model{'' if count == 1 else 's'}, {size_text(freed)}.",
    )
