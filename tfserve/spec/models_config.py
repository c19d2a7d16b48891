"""Writes a ``models.config`` of TensorFlow Serving for several models, and reads one that a user provides.

Source: https://www.tensorflow.org/tfx/serving/serving_config#model_server_configuration
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.errors import TfserveError, UsageError, Wording, located
from tfserve.models.url import parse_source
from tfserve.protos.regular_file import open_regular
from tfserve.spec.model import ModelSpec
from tfserve.spec.server_flags import parse_config_file, read_config_file
from tfserve.spec.versions import VersionPolicy

if TYPE_CHECKING:
    from tfserve.protos.model_config_pb2 import ModelConfig, ModelServerConfig

__all__ = ["NEWEST", "ServedModel", "locate_in", "read_models_config", "served_models", "to_message", "to_text"]

NEWEST = VersionPolicy()
PLATFORM = "tensorflow"
_TENSORFLOW = 1  # model_type, which model_platform has replaced
_FILE_SCHEME = "file://"
_BUCKETS = ("s3://", "gs://")
_LINE_END = b"\n"
_MAX_SEARCHED_BYTES = 16 * 2**20
_FIELDS = {"model_name": "name", "versions": "model_version_policy", "labels": "version_labels"}


@dataclass(frozen=True)
class ServedModel:
    """One entry of a ``models.config``: a model's name, its base path for the server, its versions and their labels."""

    name: str
    base_path: str
    versions: VersionPolicy = NEWEST
    labels: Mapping[str, int] = field(default_factory=dict)


def to_message(models: Iterable[ServedModel]) -> ModelServerConfig:
    """Returns the message that makes a server serve `models`, and no others.

    Raises:
        UsageError: a base path is not valid UTF-8, which the format requires.
    """
    from tfserve.protos.model_config_pb2 import ModelServerConfig

    message = ModelServerConfig()
    for model in models:
        entry = message.model_config_list.config.add(name=model.name, model_platform=PLATFORM)
        try:
            entry.base_path = model.base_path
        except (UnicodeEncodeError, ValueError):
            raise UsageError(
                f"The path {model.base_path!r} is not valid UTF-8, which a models.config requires.",
                hint="Rename the directory.",
            ) from None
        policy = entry.model_version_policy
        if model.versions.specific:
            policy.specific.versions.extend(model.versions.specific)
        elif model.versions.latest is None:
            policy.all.SetInParent()
        elif model.versions.latest > 1:
            policy.latest.num_versions = model.versions.latest
        entry.version_labels.update(model.labels)
    return message


def to_text(models: Iterable[ServedModel]) -> str:
    """Returns a ``models.config`` in protobuf's text format.

    Raises:
        UsageError: as `to_message`.
    """
    from google.protobuf import text_format

    return str(text_format.MessageToString(to_message(models)))


def served_models(text: str) -> tuple[ServedModel, ...]:
    """Parses a text that `to_text` wrote.

    Raises:
        UsageError: `text` is incomplete, or not a ``models.config``.
    """
    return tuple(map(_served, _parse(Path("models.config"), text.encode()).model_config_list.config))


def read_models_config(path: Path) -> tuple[ModelSpec, ...]:
    """Reads a user's own ``models.config``, whose base paths are directories of this machine or in buckets.

    The directories may not exist; `tfserve.plan.preflight` checks that.

    Raises:
        UsageError: it cannot be read, does not parse (with line and column), or the server would refuse it.
    """
    text = read_config_file(path, Wording("{config}"))
    message = _parse(path, text)
    if message.WhichOneof("config") != "model_config_list" or not message.model_config_list.config:
        raise UsageError(
            f"{str(path)!r} does not list any models.", hint="Add them: model_config_list { config { … } }"
        )
    specs = []
    for entry in message.model_config_list.config:
        with located(locate_in(path, entry.name, entry.base_path)):
            specs.append(_spec(entry))
    return tuple(specs)


def locate_in(path: Path, *values: str) -> Callable[[TfserveError], None]:
    """Returns a function that adds the path of a ``models.config`` to an error, and the line if it can be found.

    Args:
        path: the file.
        values: strings in the entry that the error is about, such as the model's name; the first that occurs in the
            file determines the line.
    """
    return lambda error: error.reword(_file_names, f"{str(path)!r}{_line_of(path, values)}")


def _file_names(attribute: str, value: object) -> str:
    name = _FIELDS.get(attribute, attribute)
    return name if value is None else f"{name}: {value}"


def _parse(path: Path, text: bytes) -> ModelServerConfig:
    from tfserve.protos.model_config_pb2 import ModelServerConfig

    message = ModelServerConfig()
    parse_config_file(path, text, message)
    return message


def _spec(entry: ModelConfig) -> ModelSpec:
    model = _served(entry)
    base_path = model.base_path.removeprefix(_FILE_SCHEME)
    if entry.model_platform != PLATFORM and (entry.model_platform or entry.model_type != _TENSORFLOW):
        raise UsageError(
            f"The model {model.name!r} is not a TensorFlow model.",
            hint=f'Use model_platform: "{PLATFORM}", the only platform that the server supports.',
        )
    in_bucket = base_path.startswith(_BUCKETS)
    if not in_bucket and not base_path.startswith("/"):
        raise UsageError(
            f"The base_path {model.base_path!r} of the model {model.name!r} is not an absolute path.",
            hint="Use an absolute path, s3:// or gs://. For relative paths: tfserve run PATH=NAME …",
        )
    return ModelSpec(parse_source(base_path), model.name, model.versions, model.labels)


def _served(entry: ModelConfig) -> ServedModel:
    policy = entry.model_version_policy
    versions = NEWEST
    if policy.WhichOneof("policy_choice") == "all":
        versions = VersionPolicy(None)
    elif policy.specific.versions:
        versions = VersionPolicy(1, tuple(sorted(set(policy.specific.versions))))
    elif policy.latest.num_versions > 1:
        versions = VersionPolicy(policy.latest.num_versions)
    return ServedModel(entry.name, entry.base_path, versions, dict(sorted(entry.version_labels.items())))


def _line_of(path: Path, values: Sequence[str]) -> str:
    """Returns the line of the first of `values` that occurs in quotes in a file: ``, line 3``; empty if none does."""
    try:
        with open_regular(path) as file:
            text = file.read(_MAX_SEARCHED_BYTES)
    except OSError:
        return ""
    for value in filter(None, values):
        encoded = value.encode("utf-8", "surrogateescape")
        index = max(text.find(quote + encoded + quote) for quote in (b'"', b"'"))
        if index >= 0:
            return f", line {text[:index].count(_LINE_END) + 1}"
    return ""
