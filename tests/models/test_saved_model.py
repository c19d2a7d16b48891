from __future__ import annotations

import ast
import os
import shlex
import shutil
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.program import Copy
from tfserve.errors import SavedModelError
from tfserve.models.saved_model import (
    Layout,
    ModelVersion,
    Signature,
    TensorSpec,
    check_version,
    find_model,
    read_signatures,
    version_numbers,
)
from tfserve.protos.saved_model_pb2 import (
    DataType,
    MetaGraphDef,
    SavedModel,
    SignatureDef,
    TensorInfo,
    TensorShapeProto,
)

NASTY_NAMES = ["a b", "it's", 'say "hi"', "$(touch pwned)", "line\nbreak", "模型-ä", "-rf", "a*?[b]", "back\\slash"]


def refusal(path: Path) -> SavedModelError:
    with pytest.raises(SavedModelError) as caught:
        read_signatures(find_model(path).newest)
    assert caught.value.exit_code == 3
    return caught.value


def saved_model(directory: Path, *meta_graphs: MetaGraphDef) -> ModelVersion:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "saved_model.pb").write_bytes(SavedModel(meta_graphs=meta_graphs).SerializeToString())
    return ModelVersion(1, directory)


def test_base_path(half_plus_two: Path) -> None:
    found = find_model(half_plus_two)
    assert (found.path, found.layout, found.default_name) == (half_plus_two, Layout.BASE_PATH, "half_plus_two")
    assert found.versions == (ModelVersion(1, half_plus_two / "1"),)


def test_reader(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_model(copied("model"))
    owner = found.newest.path.stat()
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert found.reader == (owner.st_uid, owner.st_gid)
    monkeypatch.setattr("os.getuid", lambda: 4242)
    monkeypatch.setattr("os.getgid", lambda: 4243)
    assert found.reader == (4242, 4243)
    monkeypatch.delattr("os.getuid")
    assert found.reader is None


def test_version(half_plus_two: Path) -> None:
    found = find_model(half_plus_two / "1")
    assert (found.path, found.layout, found.default_name) == (half_plus_two / "1", Layout.VERSION, "half_plus_two")
    assert found.newest.number == 1


def test_bare_saved_model(copied: Copy) -> None:
    model = copied("model") / "1"
    bare = model.rename(model.parent.parent / "bare")
    found = find_model(bare)
    assert (found.path, found.layout, found.default_name) == (bare, Layout.BARE, "bare")
    assert found.newest == ModelVersion(1, bare)


def test_relative_paths_and_links_are_resolved(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copied("model")
    link = model.parent / "latest"
    link.symlink_to(model)
    monkeypatch.chdir(model / "1")
    assert find_model(Path()).path == model / "1"
    assert find_model(Path("..")).path == model
    assert find_model(link).path == model


def test_the_home_directory_is_expanded(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copied("model")
    monkeypatch.setenv("HOME", str(model.parent))
    assert find_model(Path("~/model")).path == model


def test_versions_are_ordered_by_number(copied: Copy) -> None:
    model = copied("model")
    for name in ("2", "10", "0009", "1712345678"):
        shutil.copytree(model / "1", model / name)
    for name in ("-1", "1.5", "1_0", "v3", "\uff19", "9" * 19):
        (model / name).mkdir()
    (model / "77").write_text("a file is not a version")
    found = find_model(model)
    assert [version.number for version in found.versions] == [1, 2, 9, 10, 1712345678]
    assert found.versions[2].path == model / "0009"


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_unusual_directory_names(copied: Copy, name: str) -> None:
    model = copied(name)
    assert find_model(model).default_name == name
    assert read_signatures(find_model(model).newest)


def test_signatures_of_the_bundled_model(half_plus_two: Path) -> None:
    signatures = read_signatures(find_model(half_plus_two).newest)
    assert list(signatures) == sorted(signatures)
    x, y = TensorSpec("DT_FLOAT", (-1,)), TensorSpec("DT_FLOAT", (-1,))
    assert signatures["serving_default"] == Signature("tensorflow/serving/predict", {"x": x}, {"y": y})
    assert signatures["classify_x_to_y"].method == "tensorflow/serving/classify"
    assert signatures["regress_x_to_y"].inputs == {"inputs": TensorSpec("DT_STRING", (-1,))}


def test_signatures_of_every_type_and_shape(tmp_path: Path) -> None:
    shapes = {"scalar": [], "matrix": [-1, 3], "image": [-1, 28, 28, 1]}
    inputs = {
        name: TensorInfo(tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes]))
        for name, sizes in shapes.items()
    }
    inputs["any"] = TensorInfo(tensor_shape=TensorShapeProto(unknown_rank=True))
    inputs |= {name.lower(): TensorInfo(dtype=name) for name in DataType.keys()}  # noqa: SIM118, the enum is not iterable
    inputs["newer"] = TensorInfo(dtype=cast(DataType, 99))  # a type that a newer TensorFlow may write
    definition = SignatureDef(inputs=inputs)
    graph = MetaGraphDef(signature_def={"f": definition, "__saved_model_init_op": definition})
    graph.meta_info_def.tags.append("serve")
    signatures = read_signatures(saved_model(tmp_path, graph))
    assert list(signatures) == ["f"]
    read = signatures["f"].inputs
    assert {name: read[name].shape for name in shapes} == {name: tuple(sizes) for name, sizes in shapes.items()}
    assert read["any"].shape is None
    assert all(read[name.lower()].dtype == name for name in DataType.keys())  # noqa: SIM118, the enum is not iterable
    assert read["newer"].dtype == "DT_99"


def test_reads_the_meta_graph_with_the_tags(tmp_path: Path) -> None:
    graphs = []
    for tags in (["train"], ["serve", "gpu"], ["serve"]):
        graph = MetaGraphDef(signature_def={"_".join(tags): SignatureDef()})
        graph.meta_info_def.tags.extend(tags)
        graphs.append(graph)
    version = saved_model(tmp_path, *graphs)
    assert list(read_signatures(version)) == ["serve"]
    assert list(read_signatures(version, tags=frozenset({"gpu", "serve"}))) == ["serve_gpu"]
    with pytest.raises(SavedModelError, match=r"with the tags tpu; it has: train · gpu, serve · serve") as caught:
        read_signatures(version, tags=frozenset({"tpu"}))
    assert "--saved_model_tags" in str(caught.value.hint)


def test_missing_model(tmp_path: Path) -> None:
    assert "There is no model at" in refusal(tmp_path / "nope").message
    (tmp_path / "file").touch()
    assert "There is no model at" in refusal(tmp_path / "file" / "1").message


@pytest.mark.parametrize("path", ["a\0b", "a" * 300, "loop"])
def test_invalid_path(tmp_path: Path, path: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "is not a usable path" in refusal(tmp_path / path).message


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.HDF5", "it's a $(touch pwned) ä.keras"])
def test_hint_for_keras_files_is_their_export(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    for place in (path, tmp_path):  # the file, or the directory that contains it
        error = refusal(place)
        assert "is a Keras file" in error.message
        python, option, program = shlex.split(str(error.hint).partition(": ")[2])
        assert (python, option) == ("python", "-c")
        nodes = ast.walk(ast.parse(program))
        texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
        assert texts == {str(path), str(path.with_suffix("") / "1")}


def test_other_files(tmp_path: Path, copied: Copy) -> None:
    model = copied("it's a model")
    error = refusal(model / "1" / "saved_model.pb")
    assert "is one file of a SavedModel" in error.message
    assert shlex.split(str(error.hint).partition(": ")[2]) == [str(model / "1")]
    (tmp_path / "model.tar.xz").touch()
    assert "cannot unpack" in refusal(tmp_path / "model.tar.xz").message
    (tmp_path / "model.txt").touch()
    assert "is a file" in refusal(tmp_path / "model.txt").message


def test_directories_without_a_version(tmp_path: Path, copied: Copy) -> None:
    model = copied("my models/a b")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is empty" in refusal(empty).message
    error = refusal(model.parent)
    assert "contains models: 'a b'" in error.message
    assert shlex.split(str(error.hint).partition(": ")[2]) == ["tfserve", "run", str(model)]
    (model / "1").rename(model / "v 1")
    error = refusal(model)
    assert "is named by a number; it contains 'v 1'" in error.message
    assert shlex.quote(str(model / "v 1")) in str(error.hint)
    (model / "v 1" / "saved_model.pb").unlink()
    error = refusal(model)
    assert "has no version" in error.message
    assert shlex.quote(str(model)) in str(error.hint)


def test_incomplete_newest_version(copied: Copy) -> None:
    model = copied("model")
    (model / "2").mkdir()
    error = refusal(model)
    assert "Version 2" in error.message
    assert "remove it" in str(error.hint)


@pytest.mark.parametrize("mode", [0o700, 0o500])
def test_private_directory(copied: Copy, mode: int) -> None:
    model = copied("private")
    model.chmod(mode)
    assert read_signatures(find_model(model).newest)


def test_damaged_file(copied: Copy) -> None:
    model = copied("model")
    file = model / "1" / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-1])
    error = refusal(model)
    assert "is damaged or is not a SavedModel: the file ends 1 bytes early" in error.message
    assert error.hint
    with pytest.raises(SavedModelError, match="is damaged"):
        check_version(find_model(model).newest)


def test_complete_file(half_plus_two: Path) -> None:
    newest = find_model(half_plus_two).newest
    check_version(newest)
    with pytest.raises(SavedModelError, match=r"has no meta graph with the tags tpu; it has: serve"):
        check_version(newest, tags=frozenset({"tpu"}))


def test_unreadable_file(copied: Copy) -> None:
    version = find_model(copied("model")).newest
    (version.path / "saved_model.pb").unlink()
    (version.path / "saved_model.pb").mkdir()
    with pytest.raises(SavedModelError, match="cannot be read: Is a directory"):
        read_signatures(version)


def test_pipe_and_device_in_place_of_the_file(copied: Copy) -> None:
    model = copied("m")
    file = model / "1" / "saved_model.pb"
    file.unlink()
    os.mkfifo(model / "pipe")
    for target in ("/dev/zero", model / "pipe"):
        file.symlink_to(target)
        with pytest.raises(SavedModelError, match="Not a regular file") as caught:
            check_version(ModelVersion(1, model / "1"))
        assert caught.value.exit_code == 3
        file.unlink()


def test_names_of_versions() -> None:
    assert version_numbers(["1", "02", "x", "9" * 5000, "9" * 20, "٣"]) == (1, 2)


def test_text_format(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    text = 'meta_graphs { meta_info_def { tags: "serve" } signature_def { key: "f" value { method_name: "g" } } }'
    (tmp_path / "m" / "1" / "saved_model.pbtxt").write_text(text)
    assert read_signatures(find_model(tmp_path / "m").newest) == {"f": Signature("g", {}, {})}


@given(st.data())
def test_any_byte_can_be_damaged(
    half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray((half_plus_two / "1" / "saved_model.pb").read_bytes())
    # The graph itself is not parsed; the signatures and tags are at the end and at the beginning.
    position = data.draw(st.one_of(st.integers(0, 300), st.integers(len(content) - 1500, len(content) - 1)))
    content[position] = data.draw(st.integers(0, 255))
    directory = tmp_path_factory.getbasetemp()
    (directory / "saved_model.pb").write_bytes(content)
    try:
        signatures = read_signatures(ModelVersion(1, directory))
    except SavedModelError as error:
        assert error.message
    else:
        assert all(isinstance(signature, Signature) for signature in signatures.values())
