"""``tfserve build``: builds a serving image from source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["build"]


def build(
    source: Annotated[
        Path, typer.Option("--source", metavar="DIR", help="A checkout of tensorflow/serving, with its Dockerfiles.")
    ],
    image: Annotated[
        str,
        typer.Option("--image", metavar="REPO:TAG", help="Name of the new image; REPO:TAG-devel is also built."),
    ],
    *,
    gpu: Annotated[bool, typer.Option("--gpu", help="Build with CUDA.")] = False,
    build_option: Annotated[
        list[str] | None,
        typer.Option(
            "--build-option",
            metavar="OPTION",
            help="Option for Bazel, such as --copt=-march=native; repeatable.  [default: those of the Dockerfile]",
        ),
    ] = None,
    ram: Annotated[
        int | None, typer.Option("--ram", metavar="MB", help="Memory limit for Bazel.  [default: most of the memory]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Use the name of an existing image.")] = False,
    json: JsonOption = False,
) -> None:
    """Build a serving image from source. A development image is built first, as in TensorFlow Serving's guide."""
    from time import monotonic

    from tfserve.images.build import build as make
    from tfserve.images.build_spec import BuildSpec
    from tfserve.images.engine import docker_engine
    from tfserve.spec.image import ImageReference

    output = Output(json_wanted=json)
    spec = BuildSpec(
        source, ImageReference.parse(image), gpu=gpu, options=tuple(build_option or ()), ram=ram, force=force
    )
    start = monotonic()
    built, steps = make(docker_engine(), spec, output)
    data = {
        "image": str(spec.image),
        "id": built.id,
        "size": built.size,
        "platform": built.platform,
        "devel_image": str(spec.devel_image),
        "build_arguments": {str(step.image): dict(step.arguments) for step in steps},
    }
    lines = [
        f"Built {spec.image}: {size_text(built.size)}, in {monotonic() - start:.0f} s",
        f"  serve    tfserve run ./my_model --image {spec.image}",
        f"  develop  tfserve devel --image {spec.devel_image}",
    ]
    output.result(data, lines)
