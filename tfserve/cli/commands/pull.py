"""``tfserve pull``: gets a serving image."""

from __future__ import annotations

from typing import Annotated

import typer

from tfserve.cli.completion import complete_tag
from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["pull"]


def pull(
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="Another image than tensorflow/serving.")
    ] = None,
    *,
    tag: Annotated[
        str | None,
        typer.Option(
            "--tag", help="The version to pull, such as 2.19.1.  [default: latest]", autocompletion=complete_tag
        ),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="The image with CUDA: latest-gpu, or TAG-gpu.")] = False,
    devel: Annotated[bool, typer.Option("--devel", help="The development image: latest-devel, or TAG-devel.")] = False,
    platform: Annotated[
        str | None, typer.Option("--platform", help="Another platform than the engine's, such as linux/amd64.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Pull the official serving image. On a terminal each layer has a progress bar."""
    from time import monotonic

    from tfserve.images.engine import docker_engine
    from tfserve.images.engine import pull as pull_image
    from tfserve.spec.image import ImageReference
    from tfserve.spec.values import check_platform

    output = Output(json_wanted=json)
    check_platform(platform)
    reference = ImageReference.parse(image, tag).official_variant(gpu=gpu, devel=devel)
    begin = monotonic()
    engine = docker_engine()
    if (gpu or devel) and not reference.is_official:
        output.notice(f"--gpu and --devel choose among the official tags alone: {reference} is pulled as it is named.")
    pulled = pull_image(engine, reference, platform, output)
    data = {
        "image": pulled.name,
        "id": pulled.id,
        "digests": list(pulled.digests),
        "size": pulled.size,
        "platform": pulled.platform,
    }
    seconds = monotonic() - begin
    output.result(data, f"{pulled.name} is here: {size_text(pulled.size)}, {pulled.platform}, in {seconds:.1f} s")
