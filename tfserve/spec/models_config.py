"""The ``models.config`` of TensorFlow Serving: written for several models, and read where a user has one.

Source: https://www.tensorflow.org/tfx/serving/serving_config#model_server_configuration
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.errors import TfserveError, UsageError, Wording
from tfserve.models.url import parse_source
from tfserve.spec.model import ModelSpec
from tfserve.spec.server_flags import parse_config_file, read_config_file
from tfserve.spec.versions import VersionPolicy

if TYPE_CHECKING:
    from tfserve.protos.model_config_pb2 import ModelConfig, ModelServerConfig

__all__ = ["NEWEST", "ServedModel", "placed_in", "read_models_config", "served_models", "to_message", "to_text"]

NEWEST = VersionPolicy()
PLATFORM = "tensorflow"
_TENSORFLOW = 1  # model_type, which model_platform has replaced
_FILE_SCHEME = "file://"
_BUCKETS = ("s3://", "gs://")
_LINE_END = b"\n"
_FIELDS = {"model_name": "name", "versions": "model_version_policy", "labels": "version_labels"}


@dataclass(frozen=True)
class ServedModel:
    """One entry of a ``models.config``: a name, where the server sees the versions, which of them, and their labels."""

    name: str
    base_path: str
    versions: VersionPolicy = NEWEST
    labels: Mapping[str, int] = field(default_factory=dict)


def to_message(models: Iterable[ServedModel]) -> ModelServerConfig:
    """Returns the message that has a server serve `models`, and nothing else.

    Raises:
        UsageError: a base path is not UTF-8, which the format cannot hold.
    """
    from tfserve.protos.model_config_pb2 import ModelServerConfig

    message = ModelServerConfig()
    for model in models:
        entry = message.model_config_list.config.add(name=model.name, model_platform=PLATFORM)
        try:
            entry.base_path = model.base_path
        except (UnicodeEncodeError, ValueError):
            raise UsageError(
                f"The path {model.base_path!r} is not UTF-8, which a models.config cannot hold.", hint="Rename it."
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
    """Reads what `to_text` wrote.

    Raises:
        UsageError: it is something else.
    """
    return tuple(map(_served, _parse(Path("models.config"), text.encode()).model_config_list.config))


def read_models_config(path: Path) -> tuple[ModelSpec, ...]:
    """Reads a user's own ``models.config``; its base paths are directories of this machine, or in buckets.

    Whether they are there is found by `tfserve.plan.launch_plan.preflight`.

    Raises:
        UsageError: it cannot be read, does not parse (with line and column), or the server would refuse it.
    """
    text = read_config_file(path, Wording("{config}"))
    message = _parse(path, text)
    if message.WhichOneof("config") != "model_config_list" or not message.model_config_list.config:
        raise UsageError(
            f"{str(path)!r} names no models.", hint="It has to hold a model_config_list { config { … } } of them."
        )
    specs = []
    for entry in message.model_config_list.config:
        with placed_in(path, entry.name, entry.base_path):
            specs.append(_spec(entry))
    return tuple(specs)


@contextmanager
def placed_in(path: Path, *values: str) -> Iterator[None]:
    """Says of the errors in the block that they are about a part of the ``models.config`` at `path`.

    Args:
        path: the file.
        values: what is written there, such as the name of the model; the first that is found gives the line.
    """
    try:
        yield
    except TfserveError as error:
        error.reword(_file_names, f"{str(path)!r}{_line_of(path, values)}")
        raise


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
            f"The model {model.name!r} is not one of TensorFlow.",
            hint=f'The server takes model_platform: "{PLATFORM}", and nothing else.',
        )
    in_bucket = base_path.startswith(_BUCKETS)
    if not in_bucket and not base_path.startswith("/"):
        raise UsageError(
            f"The base_path {model.base_path!r} of the model {model.name!r} is not an absolute path.",
            hint="The server takes absolute paths, s3:// and gs://; tfserve run PATH=NAME … takes relative paths too.",
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
    """Where one of some values stands in a file, as far as that can be seen without the parser's help."""
    try:
        text = path.read_bytes()
    except OSError:
        return ""
    for value in filter(None, values):
        encoded = value.encode("utf-8", "surrogateescape")
        index = max(text.find(quote + encoded + quote) for quote in (b'"', b"'"))
        if index >= 0:
            return f", line {text[:index].count(_LINE_END) + 1}"
    return ""
