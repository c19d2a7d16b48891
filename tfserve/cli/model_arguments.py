"""Parses the models of a command line: their paths or addresses, names, version policies, labels and digests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tfserve.errors import UsageError
from tfserve.models.source import source_name
from tfserve.models.url import is_archive, parse_source
from tfserve.spec.model import ModelSpec
from tfserve.spec.versions import VersionPolicy, parse_label

__all__ = ["parse_models"]


def parse_models(
    words: Sequence[str],
    *,
    name: str | None = None,
    versions: Iterable[str] = (),
    labels: Iterable[str] = (),
    digests: Iterable[str] = (),
) -> tuple[ModelSpec, ...]:
    """Parses the models of a command line.

    Args:
        words: paths or addresses of models, or ``PATH=NAME``; the default name is that of the directory or archive.
        name: the name of the only model; None for its default name.
        versions: version policies, as ``[MODEL:]POLICY``; MODEL can be omitted if there is one model.
        labels: labels, as ``[MODEL:]LABEL=VERSION``.
        digests: digests of archives, as ``[MODEL:]SHA256``.

    Raises:
        UsageError: an argument is not valid, or `name` is given for several models.
        SavedModelError: a path without a name is not a model.
    """
    if name is not None and len(words) > 1:
        raise UsageError("--model-name requires a single model.", hint="Name several models as PATH=NAME.")
    models = [_model(word, name) for word in words]
    for text in versions:
        index, rest = _model_of(text, models, "--versions")
        models[index] = replace(models[index], versions=VersionPolicy.parse(rest))
    for text in labels:
        index, rest = _model_of(text, models, "--label")
        label, version = parse_label(rest)
        if version is None:
            raise UsageError(f"The label {label!r} has no version.", hint=f"Write it as --label {label}=2")
        if models[index].labels.get(label, version) != version:
            raise UsageError(
                f"The label {label!r} is assigned to two versions, {models[index].labels[label]} and {version}.",
                hint="A label names one version: omit one of the two.",
            )
        models[index] = replace(models[index], labels={**models[index].labels, label: version})
    for text in digests:
        index, rest = _model_of(text, models, "--sha256")
        models[index] = replace(models[index], sha256=rest)
    return tuple(models)


def _model(word: str, name: str | None) -> ModelSpec:
    path, given = _split(word)
    source = parse_source(path)
    if name is not None or given:
        return ModelSpec(source, given or str(name))
    return ModelSpec(source, source_name(source))


def _split(word: str) -> tuple[str, str]:
    """Splits ``PATH=NAME``; the name is empty if it is missing."""
    path, separator, given = word.rpartition("=")
    if not separator or "/" in given or Path(word).exists():
        return word, ""
    if "://" in path and not is_archive(Path(path)):  # the rest is part of the address
        return word, ""
    if not given:
        raise UsageError(f"{word!r} has no name after the equals sign.", hint="Write it as PATH=NAME.")
    return path, given


def _model_of(text: str, models: Sequence[ModelSpec], option: str) -> tuple[int, str]:
    """Splits ``[MODEL:]REST``; returns the index of the model, and the rest."""
    name, separator, rest = text.rpartition(":")
    names = [model.name for model in models]
    if not separator and len(models) > 1:
        raise UsageError(f"{option} {text} does not name a model.", hint=f"Write it as {option} {names[0]}:{text}")
    if separator and name not in names:
        raise UsageError(
            f"{option} {text} is for an unknown model {name!r}.", hint=f"The models are: {', '.join(names)}."
        )
    return (names.index(name) if separator else 0), rest
