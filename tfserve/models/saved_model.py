"""Model directories: their layout, versions and signatures, read without TensorFlow.

TensorFlow Serving serves a *base path*: a directory with one sub-directory per version, named by a number, each of
which contains a SavedModel. Users also give a version itself, or a SavedModel without a version; both are accepted.
Everything else is refused, with a hint for each case.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.errors import SavedModelError
from tfserve.host.system import invoking_user
from tfserve.text import shell_quoted

if TYPE_CHECKING:
    from tfserve.protos.saved_model_pb2 import SignatureDef, TensorInfo

__all__ = [
    "SERVE_TAG",
    "Layout",
    "ModelDirectory",
    "ModelVersion",
    "Signature",
    "TensorSpec",
    "check_version",
    "find_model",
    "public_signatures",
    "read_signatures",
    "version_numbers",
]

SERVE_TAG = "serve"
_MAX_VERSION = 2**63 - 1
_MAX_NAME = 255  # of a file, in bytes; longer names only come from containers
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_ARCHIVE_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


@dataclass(frozen=True)
class TensorSpec:
    """The type and shape of one tensor of a signature.

    Attributes:
        dtype: TensorFlow's name for the type, such as ``DT_FLOAT``.
        shape: the dimensions, with -1 for unknown ones; None if the rank is unknown.
    """

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """A signature of a SavedModel: its method name, and its inputs and outputs by key."""

    method: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


class Layout(Enum):
    """The kinds of model directories."""

    BASE_PATH = "a directory of versions"
    VERSION = "one version"
    BARE = "a SavedModel without a version"


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model: its number and its directory, with symbolic links resolved."""

    number: int
    path: Path


@dataclass(frozen=True)
class ModelDirectory:
    """A directory that TensorFlow Serving can serve.

    Attributes:
        path: the directory to mount, absolute, with symbolic links resolved.
        layout: the kind of directory at `path`.
        versions: at least one, oldest first; by default, the server serves the last.
        default_name: the name of the model unless it is given another: the name of its directory.
        address: where to download the model from, if that has not been done; `path` and `versions` are then not known.
    """

    path: Path
    layout: Layout
    versions: tuple[ModelVersion, ...]
    default_name: str
    address: str | None = None

    @property
    def source(self) -> str:
        """What to mount: the path, or for display the address of a model that has not been downloaded."""
        return self.address or str(self.path)

    @property
    def newest(self) -> ModelVersion:
        """The version with the highest number."""
        return self.versions[-1]

    @property
    def reader(self) -> tuple[int, int] | None:
        """The uid and gid that can read this model, even a private one (mode 0700); None where there are no uids.

        This is the invoking user. Containers run without capabilities, so root can read no more than any other user
        there: when root invokes tfserve, it is the owner of the model.
        """
        user = invoking_user()
        if user is None or user[0] != 0 or self.address is not None:
            return user
        owner = self.newest.path.stat()
        return owner.st_uid, owner.st_gid


def find_model(path: Path) -> ModelDirectory:
    """Finds the model at `path`, and its versions.

    Only the names of files are read; `read_signatures` reads a version.

    Raises:
        SavedModelError: there is no model at `path` that TensorFlow Serving can serve.
    """
    try:
        resolved = path.expanduser().resolve(strict=True)
        if not resolved.is_dir():
            raise _not_a_directory(path)
        if _holds_saved_model(resolved):
            return _version_or_bare(resolved)
        versions = _versions_in(resolved)
        if not versions:
            raise _no_versions(path, resolved)
        newest = versions[-1]
        if not _holds_saved_model(newest.path):
            raise SavedModelError(
                f"Version {newest.number} of {str(path)!r} has no saved_model.pb.",
                hint="TensorFlow Serving loads the version with the highest number. Finish its export, or remove it.",
            )
    except (FileNotFoundError, NotADirectoryError):
        raise SavedModelError(
            f"There is no model at {str(path)!r}.",
            hint="Give the directory that contains the versions, such as ./my_model with ./my_model/1/saved_model.pb.",
        ) from None
    except PermissionError as error:
        raise SavedModelError(
            f"The model at {str(path)!r} cannot be read: {error.strerror}.",
            hint="Check that you have read permission on the directory and everything in it.",
        ) from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that is too long, or a NUL character
        raise SavedModelError(
            f"{str(path)!r} is not a usable path: {error}.", hint="Give a directory, such as ./my_model."
        ) from None
    return ModelDirectory(resolved, Layout.BASE_PATH, versions, default_name=resolved.name)


def check_version(version: ModelVersion, *, tags: frozenset[str] = frozenset({SERVE_TAG})) -> None:
    """Checks that the file of a version is valid and has a meta graph for `tags`; much faster than `read_signatures`.

    Raises:
        SavedModelError: TensorFlow Serving could not load the version.
    """
    from tfserve.protos.meta_graphs import read_tags

    with _reading(version) as file:
        _check_tags(file, tags, read_tags(file))


def read_signatures(version: ModelVersion, *, tags: frozenset[str] = frozenset({SERVE_TAG})) -> dict[str, Signature]:
    """Reads the signatures of one version from its ``saved_model.pb``.

    Args:
        version: the version to read.
        tags: the tags of the meta graph to read; TensorFlow Serving loads the one tagged exactly ``serve``.

    Returns:
        The signatures by name, in alphabetical order.

    Raises:
        SavedModelError: the file cannot be read, is damaged, or has no meta graph with these tags.
    """
    from tfserve.protos.meta_graphs import read_meta_graphs

    with _reading(version) as file:
        meta_graphs = {frozenset(found.meta_info_def.tags): found for found in read_meta_graphs(file)}
        _check_tags(file, tags, list(meta_graphs))
        meta_graph = meta_graphs[tags]
    return public_signatures(meta_graph.signature_def)


def public_signatures(definitions: Mapping[str, SignatureDef]) -> dict[str, Signature]:
    """Returns the signatures in these messages, in alphabetical order, without TensorFlow's internal ones."""
    from tfserve.protos.saved_model_pb2 import DataType

    def tensor_spec(info: TensorInfo) -> TensorSpec:
        shape = info.tensor_shape
        dimensions = None if shape.unknown_rank else tuple(dimension.size for dimension in shape.dim)
        known = info.dtype in DataType.values()
        return TensorSpec(DataType.Name(info.dtype) if known else f"DT_{info.dtype}", dimensions)

    def tensor_specs(infos: Mapping[str, TensorInfo]) -> dict[str, TensorSpec]:
        return {key: tensor_spec(infos[key]) for key in sorted(infos)}

    return {
        name: Signature(definition.method_name, tensor_specs(definition.inputs), tensor_specs(definition.outputs))
        for name, definition in sorted(definitions.items())
        if not name.startswith("__")  # internal to TensorFlow, such as __saved_model_init_op
    }


@contextmanager
def _reading(version: ModelVersion) -> Iterator[Path]:
    """Yields the SavedModel file of a version, and explains errors in reading it."""
    from tfserve.protos.meta_graphs import MalformedError

    binary, text = (version.path / name for name in _MODEL_FILES)
    file = binary if binary.exists() or not text.exists() else text
    try:
        yield file
    except MalformedError as error:
        raise SavedModelError(
            f"{str(file)!r} is damaged or is not a SavedModel: {str(error).rstrip('.')}.",
            hint="Export or copy the model again, then compare the size of the file with the original.",
        ) from None
    except OSError as error:
        raise SavedModelError(
            f"{str(file)!r} cannot be read: {error.strerror}.",
            hint="Check that you have read permission on all files of the model.",
        ) from None


def _check_tags(file: Path, tags: frozenset[str], found: Sequence[frozenset[str]]) -> None:
    if tags not in found:
        listed = " · ".join(", ".join(sorted(tags_of_one)) or "none" for tags_of_one in found)
        raise SavedModelError(
            f"{str(file)!r} has no meta graph with the tags {', '.join(sorted(tags))}; it has: {listed}.",
            hint="Choose the tags to load with the server flag --saved_model_tags=TAG,TAG",
        )


def _holds_saved_model(directory: Path) -> bool:
    return any((directory / name).is_file() for name in _MODEL_FILES)


def version_numbers(names: Iterable[str]) -> tuple[int, ...]:
    """Returns the version numbers, in ascending order, that the server recognizes in these `names` of directories."""
    return tuple(sorted({number for name in names if (number := _version_number(name)) is not None}))


def _version_number(name: str) -> int | None:
    if name.isascii() and name.isdigit() and len(name) <= _MAX_NAME and int(name) <= _MAX_VERSION:
        return int(name)
    return None


def _versions_in(directory: Path) -> tuple[ModelVersion, ...]:
    numbered = ((_version_number(entry.name), entry) for entry in directory.iterdir() if entry.is_dir())
    found = (ModelVersion(number, entry.resolve()) for number, entry in numbered if number is not None)
    return tuple(sorted(found, key=lambda version: version.number))


def _version_or_bare(directory: Path) -> ModelDirectory:
    number = _version_number(directory.name)
    if number is None:
        return ModelDirectory(directory, Layout.BARE, (ModelVersion(1, directory),), directory.name)
    return ModelDirectory(directory, Layout.VERSION, (ModelVersion(number, directory),), directory.parent.name)


def _not_a_directory(path: Path) -> SavedModelError:
    name = str(path)
    suffix = path.suffix.lower()
    if suffix in _KERAS_SUFFIXES:
        exported = str(path.with_suffix("") / "1")
        program = f"import keras; keras.models.load_model({json.dumps(name)}).export({json.dumps(exported)})"
        return SavedModelError(
            f"{name!r} is a Keras file; TensorFlow Serving can only load SavedModels.",
            hint=f"Export it first: python -c {shell_quoted(program)}",
        )
    if path.name in _MODEL_FILES:
        return SavedModelError(
            f"{name!r} is one file of a SavedModel.",
            hint=f"Give its directory: {shell_quoted(str(path.parent))}",
        )
    if suffix in _ARCHIVE_SUFFIXES:
        return SavedModelError(
            f"{name!r} is an archive of a kind that tfserve cannot unpack.", hint="Pack it as .tar.gz, .tar or .zip."
        )
    return SavedModelError(
        f"{name!r} is a file, but a model is a directory.",
        hint="Give the directory that contains the versions, such as ./my_model with ./my_model/1/saved_model.pb.",
    )


def _no_versions(path: Path, directory: Path) -> SavedModelError:
    entries = sorted(directory.iterdir())
    quoted = shell_quoted(str(path))
    if not entries:
        return SavedModelError(
            f"The directory {str(path)!r} is empty.", hint="Export a SavedModel to the sub-directory 1."
        )
    keras = [entry for entry in entries if entry.suffix.lower() in _KERAS_SUFFIXES]
    if keras:
        return _not_a_directory(path / keras[0].name)
    models = [entry for entry in entries if entry.is_dir() and _holds_saved_model(entry)]
    if models:
        names = ", ".join(repr(entry.name) for entry in models)
        first = shell_quoted(str(path / models[0].name))
        return SavedModelError(
            f"No version in {str(path)!r} is named by a number; it contains {names}.",
            hint=f"Rename each version to a number (mv {first} {shell_quoted(str(path / '1'))}), or serve one of them: "
            f"tfserve run {first}",
        )
    deeper = [entry for entry in entries if entry.is_dir() and _versions_in(entry)]
    if deeper:
        return SavedModelError(
            f"{str(path)!r} is not a model, but it contains models: {', '.join(repr(entry.name) for entry in deeper)}.",
            hint=f"Give one of them: tfserve run {shell_quoted(str(path / deeper[0].name))}",
        )
    return SavedModelError(
        f"The directory {str(path)!r} has no version: no sub-directory named by a number, and no saved_model.pb.",
        hint=f"Export the SavedModel to {quoted}/1, for example with model.export({str(path / '1')!r}) in Keras.",
    )
