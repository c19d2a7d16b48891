"""``tfserve inspect``: shows the versions and signatures of a SavedModel."""

from __future__ import annotations

from typing import Annotated

import typer

from tfserve.cli.options import JsonOption, ModelArgument, Sha256Option
from tfserve.cli.output import Output

__all__ = ["inspect"]

_MAX_VERSIONS = 1000  # each takes a millisecond or more; a directory can have more with links to one file


def inspect(
    model_dir: ModelArgument,
    *,
    tags: Annotated[
        str, typer.Option("--tags", metavar="TAG[,TAG]", help="Tags of the meta graph to read; servers load 'serve'.")
    ] = "serve",
    sha256: Sha256Option = None,
    json: JsonOption = False,
) -> None:
    """Show what is in a SavedModel. Its versions and signatures are read without TensorFlow."""
    from tfserve.cli.signatures import signature_lines, signatures_json
    from tfserve.models.saved_model import read_signatures
    from tfserve.models.source import find_source
    from tfserve.models.url import parse_source

    output = Output(json_wanted=json)
    directory = find_source(parse_source(model_dir), sha256=sha256, progress=output)
    wanted = frozenset(tags.split(","))
    shown = directory.versions[-_MAX_VERSIONS:]
    if more := len(directory.versions) - len(shown):
        output.notice(f"Only the newest {len(shown):,} versions are shown; {more:,} more are in {directory.path}.")
    versions = [(version, read_signatures(version, tags=wanted)) for version in shown]
    data = {
        "path": str(directory.path),
        "versions": [
            {"version": version.number, "signatures": signatures_json(signatures)} for version, signatures in versions
        ],
    }
    lines = [f"{directory.path}: {directory.layout.value}"]
    for version, signatures in versions:
        lines += [f"version {version.number}", *signature_lines(signatures)]
    output.result(data, lines)
