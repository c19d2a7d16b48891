"""``tfserve build``: a serving image from source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["build"]


def build(
    source: Annotated[
        Path, typer.Option("--source", metavar="DIR", help="A checkout of tensorflow/serving: its Dockerfiles.")
    ],
    image: Annotated[
        str,
        typer.Option("--image", metavar="REPO:TAG", help="The name of the image; REPO:TAG-devel is made on the way."),
    ],
    *,
    gpu: Annotated[bool, typer.Option("--gpu", help="With CUDA.")] = False,
    build_option: Annotated[
        list[str] | None,
        typer.Option(
            "--build-option",
            metavar="OPTION",
            help="What Bazel compiles with, such as --copt=-march=native; repeatable.  [default: the Dockerfile's]",
        ),
    ] = None,
    ram: Annotated[
        int | None, typer.Option("--ram", metavar="MB", help="How much memory Bazel may use.  [default: most]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Take the name of an image that is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Build a serving image from source. It takes the guide's two steps: a development image, and one to serve."""
    from time import monotonic

    from tfserve.images.build import build as make
    from tfserve.images.build_spec import BuildSpec
    from tfserve.images.engine import docker_engine
    from tfserve.spec.image import ImageReference

    output = Output(json_wanted=json)
    spec = BuildSpec(
        source, ImageReference.parse(image), gpu=gpu, options=tuple(build_option or ()), ram=ram, force=force
    )
    begin = monotonic()
    made = make(docker_engine(), spec, output)
    data = {
        "image": str(spec.image),
        "id": made.image.id,
        "size": made.image.size,
        "platform": made.image.platform,
        "devel_image": str(spec.devel_image),
        "build_arguments": {str(step.image): dict(step.arguments) for step in made.steps},
    }
    lines = [
        f"{spec.image} is here: {size_text(made.image.size)}, built in {monotonic() - begin:.0f} s",
        f"  serve    tfserve run ./my_model --image {spec.image}",
        f"  develop  tfserve devel --image {spec.devel_image}",
    ]
    output.result(data, "\n".join(lines))
