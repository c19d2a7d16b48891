"""The models to serve: a ``ModelServerConfig``, checked the way the official server checks it.

Source: ``server_core.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.model_server import log
from tfserve.model_server.status import Code, StatusError, invalid_argument

if TYPE_CHECKING:
    from tfserve.protos import model_config_pb2

_PLATFORM = "tensorflow"
_URI = re.compile(r"([a-zA-Z][0-9a-zA-Z.]*)://[^/]*(/.*)?", re.DOTALL)


@dataclass(frozen=True)
class Latest:
    """Serve the `count` versions with the highest numbers."""

    count: int = 1


@dataclass(frozen=True)
class All:
    """Serve every version."""


@dataclass(frozen=True)
class Specific:
    """Serve those of these versions that exist."""

    versions: tuple[int, ...]


VersionPolicy = Latest | All | Specific
"""The versions under a base path to serve."""


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
        name: its name in requests.
        base_path: the absolute path of the directory of its versions.
        policy: the versions to serve.
        labels: version label -> version number.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = Latest()
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ManagerOptions:
    """How versions are found and loaded.

    Attributes:
        poll_seconds: seconds between two polls of the file system; 0 polls once for each configuration, a negative
            number never.
        max_retries: how many times a failed load is retried.
        retry_seconds: seconds before a retry; a negative number means no wait.
        load_threads: how many versions load at the same time once the server has started; 0 means 1. During the start
            it is four for each CPU.
        unload_threads: how many versions unload at the same time; 0 means 1.
        labels_for_unavailable: whether a new label can be assigned to a version that is not AVAILABLE.
    """

    poll_seconds: float = 1
    max_retries: int = 5
    retry_seconds: float = 60
    load_threads: int = 0
    unload_threads: int = 0
    labels_for_unavailable: bool = False


def base_path_of(name: str, base_path: str) -> Path:
    """Returns the base path of a configuration as a path.

    Args:
        name: the model's name.
        base_path: an absolute path or ``file://`` URI.

    Raises:
        StatusError: INVALID_ARGUMENT, it is relative or empty; UNIMPLEMENTED, it is a URI with another scheme.
    """
    uri = _URI.fullmatch(base_path)
    scheme, path = (uri[1], uri[2] or "") if uri else ("file", base_path)
    if scheme != "file":
        raise StatusError(Code.UNIMPLEMENTED, f"File system scheme '{scheme}' not implemented (file: '{base_path}')")
    if not path.startswith("/"):
        raise invalid_argument(f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}")
    return Path(path)


def model_configs(
    config: model_config_pb2.ModelServerConfig, current: Iterable[ModelConfig] = ()
) -> tuple[ModelConfig, ...]:
    """Returns the models of a configuration.

    Args:
        config: the configuration as it was read or received.
        current: the models of the current configuration.

    Raises:
        StatusError: the official server refuses it, with this code and message: INVALID_ARGUMENT, a name is listed
            twice, a base path is relative, or the platform is not TensorFlow; FAILED_PRECONDITION, it is not a list of
            models, unlike the current one; UNIMPLEMENTED, it is a custom configuration.
    """
    kind = config.WhichOneof("config")
    names = {model.name for model in current}
    if kind != "model_config_list":
        if names:
            problem = (
                "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to "
                "another."
            )
            log.error(problem)
            raise StatusError(Code.FAILED_PRECONDITION, problem)
        if kind is not None:
            raise StatusError(Code.UNIMPLEMENTED, "ModelServer does not yet support custom model config.")
        log.info("Taking no action for empty config.")
    models: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if model.name in models:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        base_path = base_path_of(model.name, model.base_path)
        models[model.name] = ModelConfig(model.name, base_path, _policy(model), dict(model.version_labels))
    for model in config.model_config_list.config:
        _check_platform(model, served=model.name in names)
        if model.HasField("logging_config"):
            _warn_that_requests_are_not_logged()
    return tuple(models.values())


def _policy(model: model_config_pb2.ModelConfig) -> VersionPolicy:
    policy = model.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(tuple(sorted(set(policy.specific.versions))))
        case _:
            return Latest(max(1, policy.latest.num_versions))


def _check_platform(model: model_config_pb2.ModelConfig, served: bool) -> None:
    """Raises StatusError INVALID_ARGUMENT unless the platform of a model is TensorFlow."""
    platform = model.model_platform
    if model.model_type:
        log.warning("Deprecated ModelServerConfig::model_type field used. Prefer ModelServerConfig::model_platform.")
        if platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.model_type != 1:
            raise invalid_argument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        platform = _PLATFORM
    if not platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    if platform != _PLATFORM and served:
        raise invalid_argument(
            f"Illegal to change a model's platform. For model {model.name} platform was {_PLATFORM} and new platform "
            f"requested is {platform}"
        )
    if platform != _PLATFORM:
        raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")


@functools.cache
def _warn_that_requests_are_not_logged() -> None:
    """Logs the warning once, however often a configuration is read."""
    log.warning("logging_config has no effect in this server: requests are not logged")
