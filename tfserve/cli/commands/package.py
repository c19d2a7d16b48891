"""``tfserve package``: creates a serving image with models inside."""

from __future__ import annotations

from typing import Annotated

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, size_text

__all__ = ["package"]


def package(
    model_dirs: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL_DIR...", help="Directories of versions, single versions, SavedModels, or archives of them."
        ),
    ],
    *,
    image: Annotated[str, typer.Option("--image", metavar="REPO:TAG", help="Name of the new image.")],
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", help="Name of a model; repeatable, in the order of the models.  [default: name of the directory]"
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Serving image to use as the base.  [default: tensorflow/serving]")
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Use the base image with CUDA.")] = False,
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="Platform of the image, such as linux/amd64.  [default: that of the engine]"),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Label for the image; repeatable.")
    ] = None,
    push: Annotated[bool, typer.Option("--push", help="Push the image to its registry.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Use the name of an existing image.")] = False,
    json: JsonOption = False,
) -> None:
    """Create a serving image with models inside. Serve them with plain docker run, or with tfserve run --image."""
    from tfserve.errors import UsageError
    from tfserve.images.engine import docker_engine
    from tfserve.images.package import package as make
    from tfserve.images.package_spec import PackageSpec, parse_labels
    from tfserve.models.source import source_name
    from tfserve.models.url import parse_source
    from tfserve.spec.image import ImageReference
    from tfserve.spec.model import ModelSpec
    from tfserve.spec.values import check_name

    output = Output(json_wanted=json)
    if name and len(name) != len(model_dirs):
        raise UsageError(
            f"Expected one --name for each of the {len(model_dirs)} models, found {len(name)}.",
            hint="Use --name once for each model, or leave it out.",
        )
    sources = [parse_source(directory) for directory in model_dirs]
    names = name or [source_name(source) for source in sources]
    for each in names:
        check_name(each, kind="model", attribute="name")
    spec = PackageSpec(
        models=tuple(ModelSpec(source, given) for source, given in zip(sources, names, strict=True)),
        image=ImageReference.parse(image),
        base=ImageReference.parse(base).official_variant(gpu=gpu),
        platform=platform,
        labels=parse_labels(label or ()),
        force=force,
    )
    if gpu and not spec.base.is_official:
        output.notice(f"--gpu has no effect on {spec.base}: only the official images have a tag with CUDA.")
    made, models, pushed = make(docker_engine(), spec, output, push=push)
    reference = str(spec.image)
    data = {
        "image": reference,
        "id": made.id,
        "digest": pushed,
        "size": made.size,
        "platform": made.platform,
        "base": str(spec.base),
        "models": [{"name": model.name, "versions": list(model.versions), "digest": model.digest} for model in models],
    }
    lines = [
        f"Created {reference}: {', '.join(names)} on {spec.base}, {size_text(made.size)}",
        *([f"  pushed  {pushed}"] if pushed else ()),
        f"  serve   tfserve run --image {reference}",
        f"  or      docker run -p 8501:8501 {reference}",
    ]
    output.result(data, lines)
