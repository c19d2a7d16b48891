from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from tfserve.protos.meta_graphs import MalformedError, read_meta_graphs, read_tags
from tfserve.protos.saved_model_pb2 import (
    DataType,
    MetaGraphDef,
    SavedModel,
    SignatureDef,
    TensorInfo,
    TensorShapeProto,
)

GRAPH_DEF_FIELD = 2


def length_delimited(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def meta_graph(tag: str) -> MetaGraphDef:
    return MetaGraphDef(
        meta_info_def=MetaGraphDef.MetaInfoDef(tags=[tag]),
        signature_def={"serving_default": SignatureDef(method_name="tensorflow/serving/predict")},
    )


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_reads_the_same_as_protobuf(half_plus_two: Path) -> None:
    path = half_plus_two / "1" / "saved_model.pb"
    (whole,) = SavedModel.FromString(path.read_bytes()).meta_graphs
    (read,) = read_meta_graphs(path)
    assert read.meta_info_def.tags == whole.meta_info_def.tags
    assert read.signature_def == whole.signature_def
    assert read_tags(path) == [frozenset({"serve"})]


def test_keeps_the_order_of_several_meta_graphs(tmp_path: Path) -> None:
    data = SavedModel(meta_graphs=[meta_graph("serve"), meta_graph("train")]).SerializeToString()
    found = read_meta_graphs(written(tmp_path / "saved_model.pb", data))
    assert [list(one.meta_info_def.tags) for one in found] == [["serve"], ["train"]]
    assert read_tags(tmp_path / "saved_model.pb") == [frozenset({"serve"}), frozenset({"train"})]


def test_skips_fields_of_every_wire_type(tmp_path: Path) -> None:
    unknown = varint(100 << 3) + varint(2**64 - 1) + varint(101 << 3 | 1) + bytes(8) + varint(102 << 3 | 5) + bytes(4)
    inner = unknown + meta_graph("serve").SerializeToString() + unknown
    (found,) = read_meta_graphs(written(tmp_path / "saved_model.pb", unknown + length_delimited(2, inner) + unknown))
    assert found == meta_graph("serve")


def test_reads_the_text_format(tmp_path: Path) -> None:
    text = text_format.MessageToString(SavedModel(meta_graphs=[meta_graph("serve")]))
    graph = 'graph_def { node { name: "x" } }'
    path = written(tmp_path / "saved_model.pbtxt", text.replace("meta_info_def", f"{graph} meta_info_def").encode())
    assert read_meta_graphs(path) == [meta_graph("serve")]
    assert read_tags(path) == [frozenset({"serve"})]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (varint(1 << 3) + varint(1), "no meta graph"),
        (b"\x12\x80", "middle of a number"),
        (b"\x12\x05abc", "early"),
        (b"\x12" + b"\xff" * 10 + b"\x01", "too long"),
        (b"\x13", "wire type 3"),
        (b"\x02\x00", "field number 0"),
        (length_delimited(2, length_delimited(1, b"\x22\xff")), "early|wire|parsing|Error"),
        (b"PK\x03\x04 this is a zip file", "part of a SavedModel|early"),
        (b"\x89HDF\r\n\x1a\n", "part of a SavedModel|early"),
    ],
)
def test_refuses_bytes_that_are_not_a_saved_model(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        read_meta_graphs(written(tmp_path / "saved_model.pb", data))


@pytest.mark.parametrize("data", [b"meta_graphs {", b"\xff\xfe", b"meta_graphs " + b"{ a " * 5000])
def test_refuses_text_that_is_not_a_saved_model(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_meta_graphs(written(tmp_path / "saved_model.pbtxt", data))


@given(st.binary(max_size=200), st.sampled_from([".pb", ".pbtxt"]))
def test_random_bytes_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    path = written(tmp_path_factory.getbasetemp() / f"random{suffix}", data)
    with suppress(MalformedError):
        assert read_tags(path)
        assert read_meta_graphs(path)


def test_every_truncation_of_the_bundled_model_is_refused(half_plus_two: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "saved_model.pb", (half_plus_two / "1" / "saved_model.pb").read_bytes())
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        for read in (read_meta_graphs, read_tags):
            with pytest.raises(MalformedError):
                read(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_a_graph_of_300_mb_takes_no_memory(tmp_path: Path) -> None:
    """The graph is skipped: reading such a file takes no more memory than reading a small one."""
    size = 300 * 2**20
    inner = meta_graph("serve").SerializeToString()
    head = varint(GRAPH_DEF_FIELD << 3 | 2) + varint(size)
    path = tmp_path / "saved_model.pb"
    with path.open("wb") as file:
        file.write(varint(2 << 3 | 2) + varint(len(head) + size + len(inner)) + head)
        file.seek(size, 1)
        file.write(inner)
    program = """
import sys
from tfserve.protos.meta_graphs import read_meta_graphs
(found,) = read_meta_graphs(sys.argv[1])
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(list(found.signature_def), peak)
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    names, peak_kib = done.stdout.rsplit(maxsplit=1)
    assert names == "['serving_default']"
    assert int(peak_kib) * 1024 < 120 * 2**20


def dimensions(count: int) -> bytes:
    dims = TensorShapeProto(dim=[TensorShapeProto.Dim()] * count)
    definition = SignatureDef(inputs={"x": TensorInfo(tensor_shape=dims)})
    return SavedModel(meta_graphs=[MetaGraphDef(signature_def={"s": definition})]).SerializeToString()


TOO_MUCH = {
    "meta graphs": b"\x12\x00" * 1_000_000,
    "unknown fields": b"\x78\x00" * 1_000_000 + b"\x12\x00",
    "fields of a meta graph": length_delimited(2, b"\x1a\x00" * 25_000),
    "tags": length_delimited(2, length_delimited(1, b"\x22\x00" * 25_000)),
    "fields of meta information": length_delimited(2, length_delimited(1, b"\x0a\x00" * 25_000)),
    "signatures": length_delimited(2, b"\x2a\x00" * 25_000),
    "dimensions": dimensions(51_000),
    "inputs": length_delimited(2, length_delimited(5, b"\x0a\x01s" + length_delimited(2, b"\x0a\x00" * 51_000))),
    "a long tag": length_delimited(2, length_delimited(1, length_delimited(4, b"x" * 10_000))),
    "a long name": length_delimited(2, length_delimited(5, length_delimited(1, b"x" * (2**20 + 1)))),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_files_of_strangers_are_bounded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value in (("_MAX_FIELDS", 20_000), ("_MAX_SIGNATURE_FIELDS", 50_000), ("_MAX_BYTES", 2**20)):
        monkeypatch.setattr(f"tfserve.protos.meta_graphs.{limit}", value)
    path = written(tmp_path / "saved_model.pb", TOO_MUCH[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    refused = 0
    for read in (read_tags, read_meta_graphs):
        try:
            read(path)
        except MalformedError as error:
            refused += 1
            assert re.search(r"more than|has 10,000 bytes", str(error))
    assert refused
    assert time.process_time() - start < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 200 << 10


def test_text_files_of_strangers_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pbtxt"
    path.write_bytes(b"meta_graphs {}\n" * 600_000)
    with pytest.raises(MalformedError, match="more than 8,388,608 bytes"):
        read_tags(path)
    path.write_bytes(b"meta_graphs {}\n" * 2000)
    with pytest.raises(MalformedError, match="more than 1,000 meta graphs"):
        read_tags(path)
    path.write_bytes(b"a {" * 100_000)
    with pytest.raises(MalformedError):
        read_tags(path)


def test_honest_signatures_are_read(tmp_path: Path) -> None:
    """A thousand signatures of twenty tensors."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=-1), TensorShapeProto.Dim(size=3)])
    info = TensorInfo(name="x:0", dtype=DataType.DT_FLOAT, tensor_shape=shape)
    definition = SignatureDef(inputs={f"x{number}": info for number in range(20)}, method_name="m")
    graph = MetaGraphDef(
        meta_info_def=MetaGraphDef.MetaInfoDef(tags=["serve"]),
        signature_def={f"s{number}": definition for number in range(1000)},
    )
    path = written(tmp_path / "saved_model.pb", SavedModel(meta_graphs=[graph]).SerializeToString())
    (found,) = read_meta_graphs(path)
    assert len(found.signature_def) == 1000
