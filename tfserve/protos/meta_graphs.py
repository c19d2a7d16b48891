"""Reads the meta graphs of a ``saved_model.pb`` without its graphs.

Nearly all bytes of a SavedModel file are graph and object data, which tfserve does not use. The file is mapped into
memory and walked field by field, skipping the large fields, so a model of hundreds of megabytes takes no longer than a
small one.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
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


def read_tags(path: str | PathLike[str]) -> list[frozenset[str]]:
    """Returns the tags of each meta graph of the SavedModel file at `path`, and checks that the file is complete.

    Raises:
        MalformedError: the file is empty, truncated, or not a SavedModel.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix == ".pbtxt":
        return [frozenset(meta_graph.meta_info_def.tags) for meta_graph in read_meta_graphs(path)]
    with _meta_graphs(path) as (data, meta_graphs):
        return [
            frozenset(
                data[tag_start:tag_end].decode(errors="replace")
                for number, start, end in fields(data, *meta_graph)
                if number == _META_INFO_DEF
                for tag_number, tag_start, tag_end in fields(data, start, end)
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
    with _meta_graphs(path) as (data, meta_graphs):
        try:
            return [_read_meta_graph(data, start, end) for start, end in meta_graphs]
        except DecodeError as error:
            raise MalformedError(str(error)) from None


@contextmanager
def _meta_graphs(path: Path) -> Iterator[tuple[mmap.mmap, list[tuple[int, int]]]]:
    """Maps the file, and yields it with the start and end of each meta graph."""
    with open_regular(path) as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            raise MalformedError("the file is empty") from None
        with data:
            found = [(start, end) for number, start, end in fields(data, 0, len(data)) if number == _META_GRAPHS]
            if not found:
                raise MalformedError("the file holds no meta graph")
            yield data, found


def _read_meta_graph(data: mmap.mmap, start: int, end: int) -> MetaGraphDef:
    from tfserve.protos.saved_model_pb2 import MetaGraphDef

    meta_graph = MetaGraphDef()
    field_start = start
    for number, _, field_end in fields(data, start, end):
        if number in (_META_INFO_DEF, _SIGNATURE_DEF):
            # A field with its tag is a serialized message of its own; parsing merges it into the message.
            meta_graph.MergeFromString(data[field_start:field_end])
        field_start = field_end
    return meta_graph


def _read_text(path: Path) -> list[MetaGraphDef]:
    from google.protobuf import text_format

    from tfserve.protos.saved_model_pb2 import SavedModel

    try:
        parsed = text_format.Parse(path.read_bytes(), SavedModel(), allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise MalformedError(str(error)) from None
    except RecursionError:
        raise MalformedError("its messages are nested too deeply") from None
    if not parsed.meta_graphs:
        raise MalformedError("the file holds no meta graph")
    return list(parsed.meta_graphs)
