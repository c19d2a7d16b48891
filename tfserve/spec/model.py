"""A model to serve, as the user requested it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfserve.errors import UsageError, Wording, about
from tfserve.models.source import source_name
from tfserve.models.url import Url, check_digest, parse_source
from tfserve.spec.field_parsers import Context, MismatchError, Scalar, parse_text, unknown_field
from tfserve.spec.values import check_name
from tfserve.spec.versions import VersionPolicy, parse_label

__all__ = ["MODEL_FIELDS", "ModelSpec"]


@dataclass(frozen=True)
class ModelSpec:
    """A model to serve.

    Attributes:
        path: a directory or an archive on this machine, the address of an archive, or a base path in a bucket, which
            only the server reads.
        name: the name that clients use for it.
        versions: the versions to serve; None for the newest.
        labels: labels of versions -> the numbers of the versions.
        sha256: the expected digest of the archive; None to accept any, and for a directory.
    """

    path: Path | Url
    name: str
    versions: VersionPolicy | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    sha256: str | None = None

    @classmethod
    def parse(cls, given: object, context: Context, default_name: str | None = None) -> ModelSpec:
        """Parses the path of a model, or a mapping of ``path``, ``name``, ``versions``, ``labels`` and ``sha256``.

        Args:
            given: the path or the mapping.
            context: what relative paths are relative to.
            default_name: the name of a model that is given without one; None for the name of its directory or archive.

        Raises:
            UsageError: the path or a field is not valid; about the field.
            SavedModelError: a model without a name is not a SavedModel.
        """
        if not isinstance(given, Mapping):
            source = _source(given, "a path, or a mapping with the fields of a model", context)
            return cls(source, default_name or source_name(source))
        for key in given:
            if key not in MODEL_FIELDS:
                raise unknown_field(key, MODEL_FIELDS)
        if given.get("path") is None:
            raise UsageError("The field path is missing.", hint="Add the directory of the model: path: ./my_model")
        with about("path"):
            source = _source(given["path"], "a path", context)
            name = default_name or ("" if "name" in given else source_name(source))
        parsed: dict[str, Any] = {}
        for key, parse in _PARSERS.items():
            if key in given:
                with about(key):
                    parsed[key] = parse(given[key], context)
        return cls(source, **{"name": name, **parsed})

    def __post_init__(self) -> None:
        """Checks the name and the digest."""
        check_name(self.name, kind="model", attribute="model_name")
        if self.sha256 is not None:
            check_digest(self.sha256)
            if self.is_remote:
                raise UsageError(
                    "A model in a bucket is not an archive, so it has no digest.",
                    hint=Wording("Leave {sha256} out."),
                    about=("sha256",),
                )

    @property
    def is_remote(self) -> bool:
        """Whether the server reads it from a bucket."""
        return isinstance(self.path, Url) and self.path.in_bucket


def _source(given: object, expected: str, context: Context) -> Path | Url:
    text = os.fspath(given) if isinstance(given, os.PathLike) else parse_text(given, context, expected)
    source = parse_source(text, given.written if isinstance(given, Scalar) else None)
    if isinstance(source, Url):
        return source
    with suppress(RuntimeError):  # a home directory that does not exist
        source = source.expanduser()
    return context.directory / source


def _versions(given: object, context: Context) -> VersionPolicy:
    if isinstance(given, Sequence) and not isinstance(given, str):
        return VersionPolicy.parse(",".join(_number(index, number, context) for index, number in enumerate(given)))
    return VersionPolicy.parse(parse_text(given, context, "latest, latest=2, all, or a list of version numbers"))


def _labels(given: object, context: Context) -> dict[str, int]:
    if not isinstance(given, Mapping):
        raise MismatchError("a mapping of labels to version numbers", given)
    labels = {}
    for label, number in given.items():
        text = _number(label, number, context)
        with about(label):
            parse_label(f"{label}={text}")
        labels[label] = int(text)
    return labels


def _number(key: str | int, given: object, context: Context) -> str:
    with about(key):
        text = parse_text(given, context, "a version number")
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise MismatchError("a version number", given)
        return text


_PARSERS: Mapping[str, Callable[[object, Context], Any]] = {
    "name": lambda given, context: parse_text(given, context, "a model name"),
    "versions": _versions,
    "labels": _labels,
    "sha256": lambda given, context: parse_text(given, context, "a SHA-256 digest"),
}
MODEL_FIELDS = ("path", *_PARSERS)
"""The fields of a model in a file."""
