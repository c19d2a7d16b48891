"""How a server sees the host's models and text files: what is mounted where, and the flags that say so to the server.

A server of one model, at its newest version, is told so by flags or, in the image, by variables. Every other one gets a
``models.config``: one that tfserve writes, or the user's own, which stays as it is. What is in a bucket is not mounted:
the server reads it from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfserve.errors import SavedModelError
from tfserve.models.saved_model import Layout, ModelDirectory
from tfserve.spec import image as images
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_configs import batching_text, monitoring_text
from tfserve.spec.server_flags import flag_files

__all__ = ["MODELS_CONFIG", "Mount", "ServerView", "container_view", "model_mount", "process_view"]

MODELS_CONFIG = "models.config"
_BATCHING_FILE = "batching_parameters.config"
_MONITORING_FILE = "monitoring.config"
# Labels are checked by tfserve; the server would refuse them all at its start, when no version is loaded yet.
_LABELS_FLAG = "--allow_version_labels_for_unavailable_models=true"


@dataclass(frozen=True)
class Mount:
    """A directory or file of the host (`source`) that the server sees as `target`."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class ServerView:
    """What a server sees.

    Attributes:
        mounts: of the host.
        flags: what tells it of its models, and those of the user, with paths as the server sees them.
        files: text files of its own: path -> content.
        config: which of these files is its ``models.config``; None for none of them.
    """

    mounts: tuple[Mount, ...]
    flags: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None


def container_view(spec: ServeSpec, directories: Sequence[ModelDirectory]) -> ServerView:
    """What a container sees; of one model at its newest version it learns by the image's variables.

    Args:
        spec: what was asked for.
        directories: its models that are here, in its order.
    """
    inside = {name: f"{images.CONFIG_ROOT}/{name}" for name, _ in flag_files(spec.server_flags)}
    mounts = [Mount(str(path), inside[name]) for name, path in flag_files(spec.server_flags)]
    given = [flag for flag in spec.server_flags if flag[2:].partition("=")[0] not in inside]
    given += [f"--{name}={target}" for name, target in inside.items()]
    block_flags, files = _blocks(spec, "")  # in a directory that every image has
    flags = (*block_flags, *given)
    models = list(zip(spec.local_models, directories, strict=True))
    if spec.config is not None:
        _check_layouts(spec, directories)
        config = f"{images.CONFIG_ROOT}/{MODELS_CONFIG}"
        own = [Mount(str(spec.config), config), *(Mount(str(found.path), str(model.path)) for model, found in models)]
        return ServerView((*own, *mounts), (*_config_flags(config), *flags), files)
    named = [model_mount(found, f"{images.MODEL_ROOT}/{model.name}") for model, found in models]
    if spec.fixed:
        # What the image makes of its variables stands before these flags, and the last one holds.
        base_paths = [f"--model_base_path={model.path}" for model in spec.models if model.is_remote]
        return ServerView((*named, *mounts), (*base_paths, *flags), files)
    config = f"/{MODELS_CONFIG}"
    files = {config: _config(spec, images.MODEL_ROOT), **files}
    return ServerView((*named, *mounts), (*_config_flags(config), *flags), files, config)


def process_view(spec: ServeSpec, directories: Sequence[ModelDirectory], root: str) -> ServerView:
    """What a process sees, which has a directory of its own at `root`; the models are linked below it.

    Args:
        spec: what was asked for.
        directories: its models that are here, in its order.
        root: the absolute path of the server's own directory.
    """
    block_flags, files = _blocks(spec, root)
    flags = (*block_flags, *spec.server_flags)
    if spec.config is not None:
        _check_layouts(spec, directories)
        return ServerView((), (*_config_flags(str(spec.config)), *flags), files)
    models = f"{root}/models"
    mounts = tuple(
        model_mount(found, f"{models}/{model.name}")
        for model, found in zip(spec.local_models, directories, strict=True)
    )
    if spec.fixed:
        (model,) = spec.models
        named = (f"--model_name={model.name}", f"--model_base_path={_base_path(model, models)}")
        return ServerView(mounts, (*named, *flags), files)
    config = f"{root}/{MODELS_CONFIG}"
    return ServerView(mounts, (*_config_flags(config), *flags), {config: _config(spec, models), **files}, config)


def model_mount(directory: ModelDirectory, target: str) -> Mount:
    """The mount by which a server sees a model under the base path `target`."""
    if directory.layout is Layout.BASE_PATH:
        return Mount(str(directory.path), target)
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


def _blocks(spec: ServeSpec, root: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The flags and files, below `root`, of what `spec` says of batching and monitoring."""
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
    """Refuses base paths of a user's own configuration that the server could not serve as they are."""
    for model, directory in zip(spec.local_models, directories, strict=True):
        if directory.layout is not Layout.BASE_PATH:
            raise SavedModelError(
                f"The base_path {str(model.path)!r} in {str(spec.config)!r} is {directory.layout.value}.",
                hint="A base_path is the directory above, with a sub-directory for each version, named by a number.",
            )
