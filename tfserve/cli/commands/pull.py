"""``tfserve pull``: pulls a serving image."""

from __future__ import annotations

from typing import Annotated

import typer

from tfserve.cli.completion import complete_tag
from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["pull"]


def pull(
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="Image to pull instead of tensorflow/serving.")
    ] = None,
    *,
    tag: Annotated[
        str | None,
        typer.Option("--tag", help="Tag of the image, such as 2.19.1.  [default: latest]", autocompletion=complete_tag),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Pull the image with CUDA: latest-gpu, or TAG-gpu.")] = False,
    devel: Annotated[
        bool, typer.Option("--devel", help="Pull the development image: latest-devel, or TAG-devel.")
    ] = False,
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="Platform of the image, such as linux/amd64.  [default: that of the engine]"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Pull the official serving image. On a terminal, each layer has a progress bar."""
    from time import monotonic

    from tfserve.images.engine import docker_engine
    from tfserve.images.engine import pull as pull_image
    from tfserve.spec.image import ImageReference
    from tfserve.spec.values import check_platform

    output = Output(json_wanted=json)
    check_platform(platform)
    reference = ImageReference.parse(image, tag).official_variant(gpu=gpu, devel=devel)
    start = monotonic()
    engine = docker_engine()
    if (gpu or devel) and not reference.is_official:
        output.notice(f"--gpu and --devel have no effect on {reference}: only the official images have such tags.")
    pulled = pull_image(engine, reference, platform, output)
    data = {
        "image": str(pulled.reference),
        "id": pulled.id,
        "digests": list(pulled.digests),
        "size": pulled.size,
        "platform": pulled.platform,
    }
    seconds = monotonic() - start
    output.result(data, f"Pulled {pulled.reference}: {size_text(pulled.size)}, {pulled.platform}, in {seconds:.1f} s")
