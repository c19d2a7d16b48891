"""Makes an image with models inside: checks the models, pulls the base image, copies the models, commits, pushes."""

from __future__ import annotations

from datetime import datetime, timezone

from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image, find_image, made_image, refuse_taken_name
from tfserve.engines.docker.packaged import PackagedModel, check_packaged, packaged_label, packaged_models
from tfserve.engines.docker.pull import ensure_image
from tfserve.errors import UsageError
from tfserve.images.commit import ImagePlan, make_image
from tfserve.images.model_layer import ModelArchive, layout
from tfserve.images.package_spec import PackageSpec
from tfserve.images.push import push_image
from tfserve.models.saved_model import check_version
from tfserve.models.source import find_source
from tfserve.plan import labels
from tfserve.progress import Progress
from tfserve.spec.image import MODEL_ROOT

__all__ = ["package"]


def package(
    engine: DockerEngine, spec: PackageSpec, progress: Progress, *, push: bool
) -> tuple[Image, tuple[PackagedModel, ...], str | None]:
    """Makes the image that `spec` describes.

    Args:
        engine: the engine on which to make the image.
        spec: the image to make.
        progress: receives the progress.
        push: whether to push the image afterwards.

    Returns:
        The image, the models inside, and its digest in the registry; None if it was not pushed.

    Raises:
        SavedModelError: TensorFlow Serving cannot serve a model, or the model cannot be read completely.
        NameTakenError: the name is in use by another image, which must not be replaced.
        UsageError: the base image is not suitable.
        ImageError: the base image cannot be pulled, or the image cannot be made or pushed.
    """
    client = engine.client
    directories = {model.name: find_source(model.path, progress=progress) for model in spec.models}
    for directory in directories.values():
        check_version(directory.newest)
    entries = layout(MODEL_ROOT, directories, spec.files)
    if not spec.force:
        refuse_taken_name(client, spec.image)
    base = _base_image(engine, spec, progress)
    plan = ImagePlan(
        image=spec.image,
        base=base.id,
        platform=spec.platform,
        environment=spec.environment,
        entrypoint=spec.entrypoint(base.entrypoint),
        command=base.command,
        labels=spec.annotations(
            base_digest=next((name.partition("@")[2] for name in base.digests), None),
            created=datetime.now(timezone.utc),
        ),
        replaces=spec.force,
    )
    total = sum(entry.size for entry in entries if entry.model is not None)
    names = ", ".join(directories)
    with progress.copying(f"Copying {names} into {spec.image}", total) as on_progress:
        archive = ModelArchive(entries, on_progress)

        def model_labels() -> dict[str, str]:
            versions = {name: tuple(found.number for found in of.versions) for name, of in directories.items()}
            models = [PackagedModel(name, versions[name], archive.digests[name]) for name in directories]
            return {labels.PACKAGED: packaged_label(models)}

        make_image(client, plan, archive, model_labels)
    pushed = None
    if push:
        try:
            with progress.pushing(str(spec.image)) as on_layer:
                pushed = push_image(client, spec.image, on_progress=on_layer, on_notice=progress.notice) or None
        except KeyboardInterrupt:
            progress.notice(f"{spec.image} is on the engine, but was not pushed to its registry.")
            raise
    image = made_image(client, spec.image)
    return image, packaged_models(image.labels), pushed


def _base_image(engine: DockerEngine, spec: PackageSpec, progress: Progress) -> Image:
    ensure_image(engine, spec.base, spec.platform, "missing", progress)
    image = find_image(engine.client, spec.base, spec.platform)
    if image is None or not image.entrypoint:
        raise UsageError(
            f"{spec.base} is not a serving image: it has no entrypoint that starts a model server.",
            hint="Choose another --base, such as tensorflow/serving:2.19.1.",
        )
    check_packaged(image.labels)
    if models := packaged_models(image.labels):
        names = ", ".join(model.name for model in models)
        raise UsageError(
            f"{spec.base} already has models inside: {names}.",
            hint="Package all models together, based on a serving image: tfserve package DIR DIR --image REPO:TAG",
        )
    return image
