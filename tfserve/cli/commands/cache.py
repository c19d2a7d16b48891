"""``tfserve cache``: lists or removes the models unpacked from archives."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["cache"]

_DIGITS = 12


def cache(
    action: Annotated[
        Literal["list", "clear"],
        typer.Argument(metavar="[list|clear]", help="List the models, or remove them.  [default: list]"),
    ] = "list",
    digests: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DIGEST]...", help="Digest prefixes of the models to remove; omit to remove all."),
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """List or clear the models unpacked from archives. Models that servers use are kept."""
    from tfserve.errors import UsageError

    output = Output(json_wanted=json)
    if action == "clear":
        _clear(digests or [], output)
    elif digests:
        raise UsageError(
            "tfserve cache list does not accept a DIGEST.", hint="To remove a model: tfserve cache clear DIGEST"
        )
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
        output.text("The cache is empty. tfserve run my_model.tar.gz adds a model to it.")
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
        output.notice(f"Kept {model.digest[:_DIGITS]}, which is in use by {', '.join(servers)}: {model.source}")
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
