"""How a server sees the host's models and text files: what is mounted where, and the flags that say so to the server.

A server of one model, at its newest version, is told so by flags or, in the image, by variables. Every other one gets a
``models.config``: one that tfserve writes, or the user's own, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfserve import images
from tfserve.errors import SavedModelError
from tfserve.saved_model import Layout, ModelDirectory
from tfserve.server_flags import flag_files
from tfserve.spec import ServeSpec

__all__ = ["MODELS_CONFIG", "Mount", "Sight", "container_sight", "model_mount", "process_sight"]

MODELS_CONFIG = "models.config"
# Labels are checked by tfserve; the server would refuse them all at its start, when no version is loaded yet.
_LABELS_FLAG = "--allow_version_labels_for_unavailable_models=true"


@dataclass(frozen=True)
class Mount:
    """A directory or file of the host (`source`) that the server sees as `target`."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class Sight:
    """What a server sees.

    Attributes:
        mounts: of the host.
        flags: what tells it of its models, and those of the user, with paths as the server sees them.
        files: text files of its own: path -> content.
    """

    mounts: tuple[Mount, ...]
    flags: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def container_sight(spec: ServeSpec, directories: Sequence[ModelDirectory]) -> Sight:
    """What a container sees; of one model at its newest version it learns by the image's variables."""
    inside = {name: f"{images.CONFIG_ROOT}/{name}" for name, _ in flag_files(spec.server_flags)}
    files = tuple(Mount(str(path), inside[name]) for name, path in flag_files(spec.server_flags))
    flags = [flag for flag in spec.server_flags if flag[2:].partition("=")[0] not in inside]
    flags += [f"--{name}={target}" for name, target in inside.items()]
    if spec.config is not None:
        _check_layouts(spec, directories)
        config = f"{images.CONFIG_ROOT}/{MODELS_CONFIG}"
        pairs = zip(spec.models, directories, strict=True)
        mounts = (Mount(str(spec.config), config), *(Mount(str(found.path), str(model.path)) for model, found in pairs))
        return Sight((*mounts, *files), (*_config_flags(config), *flags))
    mounts = tuple(
        model_mount(found, f"{images.MODEL_ROOT}/{model.name}")
        for model, found in zip(spec.models, directories, strict=True)
    )
    if spec.fixed:
        return Sight((*mounts, *files), tuple(flags))
    config = f"/{MODELS_CONFIG}"  # in a directory that every image has
    return Sight((*mounts, *files), (*_config_flags(config), *flags), {config: _config(spec, images.MODEL_ROOT)})


def process_sight(spec: ServeSpec, directories: Sequence[ModelDirectory], root: str) -> Sight:
    """What a process sees, which has a directory of its own at `root`; the models are linked below it."""
    if spec.config is not None:
        _check_layouts(spec, directories)
        return Sight((), (*_config_flags(str(spec.config)), *spec.server_flags))
    models = f"{root}/models"
    mounts = tuple(
        model_mount(found, f"{models}/{model.name}") for model, found in zip(spec.models, directories, strict=True)
    )
    if spec.fixed:
        (model,) = spec.models
        named = (f"--model_name={model.name}", f"--model_base_path={models}/{model.name}")
        return Sight(mounts, (*named, *spec.server_flags))
    config = f"{root}/{MODELS_CONFIG}"
    return Sight(mounts, (*_config_flags(config), *spec.server_flags), {config: _config(spec, models)})


def model_mount(directory: ModelDirectory, target: str) -> Mount:
    """The mount by which a server sees a model under the base path `target`."""
    if directory.layout is Layout.BASE_PATH:
        return Mount(str(directory.path), target)
    version = directory.newest
    name = version.path.name if directory.layout is Layout.VERSION else str(version.number)
    return Mount(str(version.path), f"{target}/{name}")


def _config(spec: ServeSpec, root: str) -> str:
    from tfserve.models_config import NEWEST, ServedModel, to_text

    return to_text(
        ServedModel(model.name, f"{root}/{model.name}", model.versions or NEWEST, model.labels) for model in spec.models
    )


def _config_flags(config: str) -> tuple[str, str]:
    return f"--model_config_file={config}", _LABELS_FLAG


def _check_layouts(spec: ServeSpec, directories: Sequence[ModelDirectory]) -> None:
    """Refuses base paths of a user's own configuration that the server could not serve as they are."""
    for model, directory in zip(spec.models, directories, strict=True):
        if directory.layout is not Layout.BASE_PATH:
            raise SavedModelError(
                f"The base_path {str(model.path)!r} in {str(spec.config)!r} is {directory.layout.value}.",
                hint="A base_path is the directory above, with a sub-directory for each version, named by a number.",
            )
