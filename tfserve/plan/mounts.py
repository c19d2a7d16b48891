"""How a server sees the host's models and text files: the mounts, and the flags with their paths.

For one model at its newest version, flags are enough or, in an image, variables. Every other server needs a
``models.config``: one that tfserve writes, or the user's own, which is used unchanged. Models in buckets are not
mounted, because the server reads them itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfserve.errors import SavedModelError
from tfserve.models.saved_model import Layout, ModelDirectory
from tfserve.plan.launch_plan import Mount
from tfserve.spec import image as images
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_configs import batching_text, monitoring_text
from tfserve.spec.server_flags import flag_files

__all__ = ["MODELS_CONFIG", "ServerView", "container_view", "model_mount", "process_view"]

MODELS_CONFIG = "models.config"
_BATCHING_FILE = "batching_parameters.config"
_MONITORING_FILE = "monitoring.config"
# tfserve checks the labels. Without this flag the server rejects all labels at startup, when no version is loaded yet.
_LABELS_FLAG = "--allow_version_labels_for_unavailable_models=true"


@dataclass(frozen=True)
class ServerView:
    """What a server sees.

    Attributes:
        mounts: the directories and files of the host that it sees.
        flags: the flags for its models, and those of the user, with paths as the server sees them.
        files: the text files to create for it: path -> content.
        config: the path of the ``models.config`` among `files`; None if they contain none.
    """

    mounts: tuple[Mount, ...]
    flags: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None


def container_view(spec: ServeSpec, directories: Sequence[ModelDirectory]) -> ServerView:
    """Returns what a container sees; variables of the image describe a single model at its newest version.

    Args:
        spec: the server.
        directories: the models of `spec` that are on this machine, in its order.
    """
    inside = {name: f"{images.CONFIG_ROOT}/{name}" for name, _ in flag_files(spec.server_flags)}
    mounts = [Mount(str(path), inside[name]) for name, path in flag_files(spec.server_flags)]
    given = [flag for flag in spec.server_flags if flag[2:].partition("=")[0] not in inside]
    given += [f"--{name}={target}" for name, target in inside.items()]
    extra_flags, files = _batching_and_monitoring(spec, "")  # the root directory exists in every image
    flags = (*extra_flags, *given)
    models = list(zip(spec.local_models, directories, strict=True))
    if spec.config is not None:
        _check_layouts(spec, directories)
        config = f"{images.CONFIG_ROOT}/{MODELS_CONFIG}"
        own = [Mount(str(spec.config), config), *(Mount(found.source, str(model.path)) for model, found in models)]
        return ServerView((*own, *mounts), (*_config_flags(config), *flags), files)
    named = [model_mount(found, f"{images.MODEL_ROOT}/{model.name}") for model, found in models]
    if spec.single_model:
        # The image appends these flags to those it derives from its variables, and the server uses the last one.
        base_paths = [f"--model_base_path={model.path}" for model in spec.models if model.is_remote]
        return ServerView((*named, *mounts), (*base_paths, *flags), files)
    config = f"/{MODELS_CONFIG}"
    files = {config: _config(spec, images.MODEL_ROOT), **files}
    return ServerView((*named, *mounts), (*_config_flags(config), *flags), files, config)


def process_view(spec: ServeSpec, directories: Sequence[ModelDirectory], root: str) -> ServerView:
    """Returns what a local process sees.

    Args:
        spec: the server.
        directories: the models of `spec` that are on this machine, in its order.
        root: the absolute path of the server's own directory, in which the engine links the models.
    """
    extra_flags, files = _batching_and_monitoring(spec, root)
    flags = (*extra_flags, *spec.server_flags)
    if spec.config is not None:
        _check_layouts(spec, directories)
        return ServerView((), (*_config_flags(str(spec.config)), *flags), files)
    models = f"{root}/models"
    mounts = tuple(
        model_mount(found, f"{models}/{model.name}")
        for model, found in zip(spec.local_models, directories, strict=True)
    )
    if spec.single_model:
        (model,) = spec.models
        named = (f"--model_name={model.name}", f"--model_base_path={_base_path(model, models)}")
        return ServerView(mounts, (*named, *flags), files)
    config = f"{root}/{MODELS_CONFIG}"
    return ServerView(mounts, (*_config_flags(config), *flags), {config: _config(spec, models), **files}, config)


def model_mount(directory: ModelDirectory, target: str) -> Mount:
    """Returns the mount through which a server sees a model at the base path `target`."""
    if directory.layout is Layout.BASE_PATH:
        return Mount(directory.source, target)
    version = directory.newest
    name = version.path.name if directory.layout is Layout.VERSION else str(version.number)
    return Mount(str(version.path), f"{target}/{name}")


def _base_path(model: ModelSpec, root: str) -> str:
    return str(model.path) if model.is_remote else f"{root}/{model.name}"


def _config(spec: ServeSpec, root: str) -> str:
    from tfserve.spec.models_config import NEWEST, ServedModel, to_text

    return to_text(
        ServedModel(model.name, _base_path(model, root), model.versions or NEWEST, model.labels)
        for model in spec.models
    )


def _batching_and_monitoring(spec: ServeSpec, root: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the flags and the files in `root` that configure batching and monitoring."""
    flags: list[str] = []
    files: dict[str, str] = {}
    if spec.batching is not None:
        flags.append("--enable_batching=true")
        if spec.batching:
            files[f"{root}/{_BATCHING_FILE}"] = batching_text(spec.batching)
            flags.append(f"--batching_parameters_file={root}/{_BATCHING_FILE}")
    if spec.monitoring is not None:
        files[f"{root}/{_MONITORING_FILE}"] = monitoring_text(spec.monitoring)
        flags.append(f"--monitoring_config_file={root}/{_MONITORING_FILE}")
    return tuple(flags), files


def _config_flags(config: str) -> tuple[str, str]:
    return f"--model_config_file={config}", _LABELS_FLAG


def _check_layouts(spec: ServeSpec, directories: Sequence[ModelDirectory]) -> None:
    """Refuses base paths in a user's own ``models.config`` that are not directories of versions."""
    for model, directory in zip(spec.local_models, directories, strict=True):
        if directory.layout is not Layout.BASE_PATH:
            raise SavedModelError(
                f"The base_path {str(model.path)!r} in {str(spec.config)!r} is {directory.layout.value}.",
                hint="Use a directory that has a numbered subdirectory for each version as base_path.",
            )
