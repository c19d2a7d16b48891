"""``tfserve images``: lists the serving images on the Docker Engine, or in a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output, age_text, size_text

if TYPE_CHECKING:
    from tfserve.spec.image import ImageReference

__all__ = ["images"]


def images(
    repository: Annotated[
        str | None, typer.Argument(metavar="[REPOSITORY]", help="Show only images in this repository.")
    ] = None,
    *,
    remote: Annotated[
        bool, typer.Option("--remote", help="Show the tags in the registry, of REPOSITORY or tensorflow/serving.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the serving images on this engine. Your own images are listed with the models inside them."""
    from tfserve.spec.image import ImageReference

    output = Output(json_wanted=json)
    reference = None if repository is None else ImageReference.parse(repository)
    # A repository without a tag means all of its tags.
    tag = reference.tag if reference is not None and repository != reference.repository else None
    if remote:
        _show_remote(output, reference or ImageReference.parse(), tag)
        return
    from datetime import datetime, timezone

    from tfserve.images.engine import docker_engine
    from tfserve.images.list import list_images
    from tfserve.text import rfc3339

    found = [listed for listed in list_images(docker_engine(), reference) if tag in (None, listed.image.reference.tag)]
    if json:
        data = [
            {
                "image": str(listed.image.reference),
                "kind": listed.kind,
                "id": listed.image.id,
                "size": listed.image.size,
                "created": rfc3339(listed.created),
                "platform": listed.image.platform,
                "models": [model.name for model in listed.models],
            }
            for listed in found
        ]
        output.result(data, "")
    elif not found and reference is not None:
        output.notice(f"No serving image of {reference.repository} has been pulled. List all images: tfserve images")
    elif not found:
        output.notice("No serving image has been pulled. Pull one: tfserve pull")
    else:
        now = datetime.now(timezone.utc)
        rows = [
            (
                str(listed.image.reference),
                listed.kind,
                size_text(listed.image.size),
                age_text((now - listed.created).total_seconds()),
                listed.image.platform,
                " ".join(model.name for model in listed.models),
            )
            for listed in found
        ]
        output.table(("IMAGE", "KIND", "SIZE", "AGE", "PLATFORM", "MODELS"), rows)


def _show_remote(output: Output, repository: ImageReference, tag: str | None) -> None:
    from dataclasses import replace

    from tfserve.images.engine import mirrors
    from tfserve.images.kinds import kind_of, newest_first
    from tfserve.images.registry import remote_tags
    from tfserve.spec.image import HUB

    mirrors_of_hub = mirrors() if repository.registry == HUB else ()
    tags = [found for found in remote_tags(repository, mirrors_of_hub) if tag in (None, found)]
    named = [replace(repository, tag=found, digest=None) for found in newest_first(tags)]
    rows = [(str(reference), kind_of(reference, {}) or "") for reference in named]
    if output.json_wanted:
        output.result([{"image": image, "kind": kind or None} for image, kind in rows], "")
    elif not rows:
        output.notice(f"{repository.repository} has no {f'tag {tag}' if tag else 'tags'}.")
    else:
        output.table(("IMAGE", "KIND"), rows)
