"""Reads the meta graphs of a ``saved_model.pb`` without its graphs.

Nearly all bytes of a SavedModel file are graph and object data, which tfserve does not use. The file is mapped into
memory and walked field by field, skipping the large fields, so a model of hundreds of megabytes takes no longer than a
small one.

A file can be a stranger's, so all that is read of it has limits: two bytes can be a meta graph.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.protos.regular_file import open_regular
from tfserve.protos.wire import MalformedError, fields

if TYPE_CHECKING:
    from tfserve.protos.saved_model_pb2 import MetaGraphDef

__all__ = ["MalformedError", "read_meta_graphs", "read_tags"]

# Field numbers of saved_model.proto; the generated module has them too, but takes 20 ms to load.
_META_GRAPHS = 2
_META_INFO_DEF, _SIGNATURE_DEF = 1, 5
_TAGS = 4
_MAX_META_GRAPHS = 1000
_MAX_FIELDS = 200_000  # that are walked; a model of thousands of layers has some hundreds
_MAX_SIGNATURE_FIELDS = 500_000
_MAX_BYTES = 64 * 2**20  # of tags and signatures
_MAX_TAG_BYTES = 1000
_MAX_TEXT_BYTES = 8 * 2**20  # the text format is parsed at about 1 MB/s


def read_tags(path: str | PathLike[str]) -> list[frozenset[str]]:
    """Returns the tags of each meta graph of the SavedModel file at `path`, and checks that the file is complete.

    Raises:
        MalformedError: the file is empty, truncated, or not a SavedModel.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix == ".pbtxt":
        return [frozenset(meta_graph.meta_info_def.tags) for meta_graph in read_meta_graphs(path)]
    with _meta_graphs(path) as (data, meta_graphs, walk):
        return [
            frozenset(
                _tag(data, tag_start, tag_end)
                for number, start, end in walk(*meta_graph)
                if number == _META_INFO_DEF
                for tag_number, tag_start, tag_end in walk(start, end)
                if tag_number == _TAGS
            )
            for meta_graph in meta_graphs
        ]


def read_meta_graphs(path: str | PathLike[str]) -> list[MetaGraphDef]:
    """Returns the meta graphs of the SavedModel file at `path`, each with its tags and signatures.

    Args:
        path: a serialized ``tensorflow.SavedModel``, or one in text format if the name ends in ``.pbtxt``.

    Raises:
        MalformedError: the file is empty, truncated, or not a SavedModel.
        OSError: the file cannot be read.
    """
    from google.protobuf.message import DecodeError

    path = Path(path)
    if path.suffix == ".pbtxt":
        return _read_text(path)
    with _meta_graphs(path) as (data, meta_graphs, walk):
        try:
            wanted = [_wanted_fields(meta_graph, walk) for meta_graph in meta_graphs]
            if sum(end - start for fields_ in wanted for _, start, end in fields_) > _MAX_BYTES:
                raise MalformedError(f"its signatures have more than {_MAX_BYTES:,} bytes")
            return _read_meta_graphs(data, wanted)
        except DecodeError as error:
            raise MalformedError(str(error)) from None


_Walk = Callable[[int, int], Iterator[tuple[int, int, int]]]
"""`fields` of a mapped file, with a limit for the number of fields."""


@contextmanager
def _meta_graphs(path: Path) -> Iterator[tuple[mmap.mmap, list[tuple[int, int]], _Walk]]:
    """Maps the file, and yields it with the start and end of each meta graph, and the function that walks it."""
    with open_regular(path) as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            raise MalformedError("the file is empty") from None
        left = _MAX_FIELDS

        def walk(start: int, end: int) -> Iterator[tuple[int, int, int]]:
            nonlocal left
            for field in fields(data, start, end):
                left -= 1
                if left < 0:
                    raise MalformedError(f"it has more than {_MAX_FIELDS:,} fields")
                yield field

        with data:
            found = []
            for number, start, end in walk(0, len(data)):
                if number == _META_GRAPHS:
                    found.append((start, end))
                if len(found) > _MAX_META_GRAPHS:
                    raise MalformedError(f"it has more than {_MAX_META_GRAPHS:,} meta graphs")
            if not found:
                raise MalformedError("the file holds no meta graph")
            yield data, found, walk


def _tag(data: mmap.mmap, start: int, end: int) -> str:
    if end - start > _MAX_TAG_BYTES:
        raise MalformedError(f"a tag has {end - start:,} bytes")
    return data[start:end].decode(errors="replace")


def _wanted_fields(meta_graph: tuple[int, int], walk: _Walk) -> list[tuple[int, int, int]]:
    """Returns the tags and signatures of a meta graph as ``(start of the field, start, end of its value)``."""
    found = []
    field_start = meta_graph[0]
    for number, start, end in walk(*meta_graph):
        if number in (_META_INFO_DEF, _SIGNATURE_DEF):
            found.append((field_start, start, end))
        field_start = end
    return found


def _read_meta_graphs(data: mmap.mmap, wanted: list[list[tuple[int, int, int]]]) -> list[MetaGraphDef]:
    from tfserve.protos.field_count import TooManyFieldsError, check_field_count
    from tfserve.protos.saved_model_pb2 import MetaGraphDef

    read = []
    left = _MAX_SIGNATURE_FIELDS
    for fields_ in wanted:
        meta_graph = MetaGraphDef()
        for field_start, _, end in fields_:
            # A field with its tag is a serialized message of its own; parsing merges it into the message.
            try:
                left -= check_field_count(data, field_start, end, MetaGraphDef, left)
            except TooManyFieldsError:
                raise
            except MalformedError as error:
                raise MalformedError(f"Error parsing its tags and signatures: {error}") from None
            meta_graph.MergeFromString(data[field_start:end])
        read.append(meta_graph)
    return read


def _read_text(path: Path) -> list[MetaGraphDef]:
    from google.protobuf import text_format

    from tfserve.protos.saved_model_pb2 import SavedModel

    with open_regular(path) as file:
        text = file.read(_MAX_TEXT_BYTES + 1)
    if len(text) > _MAX_TEXT_BYTES:
        raise MalformedError(f"it has more than {_MAX_TEXT_BYTES:,} bytes; convert it to saved_model.pb")
    try:
        parsed = text_format.Parse(text, SavedModel(), allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
        raise MalformedError(str(error)) from None
    except RecursionError:
        raise MalformedError("its messages are nested too deeply") from None
    if len(parsed.meta_graphs) > _MAX_META_GRAPHS:
        raise MalformedError(f"it has more than {_MAX_META_GRAPHS:,} meta graphs")
    if not parsed.meta_graphs:
        raise MalformedError("the file holds no meta graph")
    return list(parsed.meta_graphs)
