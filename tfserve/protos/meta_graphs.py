"""Reads the meta graphs of a ``saved_model.pb`` without reading its graph.

Nearly every byte of a SavedModel file is graph and object data that nobody here looks at. The file is mapped, not
read, and walked field by field; the large fields are stepped over, so a model of some hundred megabytes costs what a
small one costs.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from google.protobuf.message import DecodeError

from tfserve.protos.saved_model_pb2 import MetaGraphDef, SavedModel

__all__ = ["DecodeError", "read_meta_graphs"]

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


def read_meta_graphs(path: str | PathLike[str]) -> list[MetaGraphDef]:
    """Returns the meta graphs of the ``saved_model.pb`` at `path`, each with its tags and signatures.

    Args:
        path: a ``tensorflow.SavedModel``, serialized, or in text format when the name ends in ``.pbtxt``.

    Raises:
        DecodeError: the file is empty, cut short, or not a SavedModel.
        OSError: the file cannot be read.
    """
    path = Path(path)
    meta_graphs = _read_text(path) if path.suffix == ".pbtxt" else _read_binary(path)
    if not meta_graphs:
        raise DecodeError("the file holds no meta graph")
    return meta_graphs


def _read_binary(path: Path) -> list[MetaGraphDef]:
    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            raise DecodeError("the file is empty") from None
        with mapped:
            return [
                _read_meta_graph(mapped, start, end)
                for number, start, end in _fields(mapped, 0, len(mapped))
                if number == SavedModel.META_GRAPHS_FIELD_NUMBER
            ]


def _read_text(path: Path) -> list[MetaGraphDef]:
    from google.protobuf import text_format

    try:
        parsed = text_format.Parse(path.read_bytes(), SavedModel(), allow_unknown_field=True)
    except (text_format.ParseError, ValueError) as error:  # a ValueError: not UTF-8
        raise DecodeError(str(error)) from None
    except RecursionError:
        raise DecodeError("its messages are nested too deeply") from None
    return list(parsed.meta_graphs)


def _read_meta_graph(data: mmap.mmap, start: int, end: int) -> MetaGraphDef:
    meta_graph = MetaGraphDef()
    kept = (MetaGraphDef.META_INFO_DEF_FIELD_NUMBER, MetaGraphDef.SIGNATURE_DEF_FIELD_NUMBER)
    tag_start = start
    for number, _, value_end in _fields(data, start, end):
        if number in kept:
            # One field with its tag is itself a serialized message; parsing adds it to what is there.
            meta_graph.MergeFromString(data[tag_start:value_end])
        tag_start = value_end
    return meta_graph


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields ``(field number, start, end)`` of every field of the message in ``data[position:end]``.

    Source: https://protobuf.dev/programming-guides/encoding/
    """
    while position < end:
        tag, position = _varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, stop = _varint(data, position, end)
        elif wire_type == _FIXED64:
            stop = position + 8
        elif wire_type == _LENGTH_DELIMITED:
            length, position = _varint(data, position, end)
            stop = position + length
        elif wire_type == _FIXED32:
            stop = position + 4
        else:
            raise DecodeError(f"wire type {wire_type} at byte {position} is not part of a SavedModel")
        if number == 0:
            raise DecodeError(f"field number 0 at byte {position} is not part of a SavedModel")
        if stop > end:
            raise DecodeError(f"the file ends {stop - end} bytes early")
        yield number, position, stop
        position = stop


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        if position >= end:
            raise DecodeError("the file ends in the middle of a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DecodeError(f"a number before byte {position} is too long")
