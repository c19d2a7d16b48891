"""``tfserve inspect``: what is in a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output

__all__ = ["inspect"]


def inspect(
    model_dir: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="A directory of versions, one version, or a SavedModel.")
    ],
    *,
    tags: Annotated[
        str, typer.Option("--tags", metavar="TAG[,TAG]", help="Which meta graph to read; served is the one of 'serve'.")
    ] = "serve",
    json: JsonOption = False,
) -> None:
    """Show what is in a SavedModel. Its versions and signatures, read without TensorFlow."""
    from tfserve.cli.signatures import signature_lines, signatures_json
    from tfserve.saved_model import find_model, read_signatures

    output = Output(json_wanted=json)
    directory = find_model(model_dir)
    wanted = frozenset(tags.split(","))
    versions = [(version, read_signatures(version, tags=wanted)) for version in directory.versions]
    data = {
        "path": str(directory.path),
        "versions": [
            {"version": version.number, "signatures": signatures_json(signatures)} for version, signatures in versions
        ],
    }
    lines = [f"{directory.path}: {directory.layout.value}"]
    for version, signatures in versions:
        lines += [f"version {version.number}", *signature_lines(signatures)]
    output.result(data, "\n".join(lines))
