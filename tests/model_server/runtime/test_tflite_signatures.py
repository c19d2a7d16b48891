from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.runtime.tflite_signatures import METADATA
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.saved_model_pb2 import DataType, SignatureDef

pytest.importorskip("ai_edge_litert", reason="LiteRT is not available for this machine")

REGRESS = "tensorflow/serving/regress"
Add = Callable[[bytes], Servable]


@pytest.fixture
def load_with(models: Path, tmp_path: Path) -> Add:
    """Loads the model ``lite`` with metadata added to its file."""

    def load(packed: bytes) -> Servable:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        content = (models / "lite" / "1" / "model.tflite").read_bytes()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(packed, np.uint8)
        model.buffers.append(buffer)
        metadata = schema.MetadataT()
        metadata.name, metadata.buffer = METADATA, len(model.buffers) - 1
        model.metadata = [*(model.metadata or []), metadata]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        (tmp_path / "model.tflite").write_bytes(builder.Output())
        return load_servable("lite", 1, tmp_path, LoadOptions(tflite_interpreters=1))

    return load


def packed(definitions: Mapping[str, SignatureDef]) -> bytes:
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        for name, definition in definitions.items():
            builder.Key(name)
            builder.String(definition.SerializeToString().decode())
    return bytes(builder.Finish())


def definition(x: str = "serving_default_x:0", y: str = "PartitionedCall:0") -> SignatureDef:
    made = SignatureDef(method_name=REGRESS)
    made.inputs["numbers"].name = x
    made.inputs["numbers"].dtype = DataType.DT_FLOAT
    made.inputs["words"].name = "serving_default_words:0"
    made.inputs["words"].dtype = DataType.DT_STRING
    made.outputs["twice"].name = y
    made.outputs["twice"].dtype = DataType.DT_FLOAT
    return made


def test_signatures_in_the_metadata_are_served(load_with: Add) -> None:
    servable = load_with(packed({"serving_default": definition(), "other": definition()}))
    assert list(servable.signatures) == ["other", "serving_default"]
    assert servable.signature("").definition.method_name == REGRESS
    assert servable.signature("").outputs == ("twice",)
    arrays = {"numbers": np.array([[1, 2]], np.float32), "words": np.array([b"w"], np.object_)}
    assert servable.run("other", arrays)["twice"].tolist() == [[2, 4]]


@pytest.mark.parametrize(
    ("x", "y", "kind"), [("z:0", "PartitionedCall:0", "input"), ("serving_default_x:0", "z", "output")]
)
def test_unknown_tensors(load_with: Add, x: str, y: str, kind: str) -> None:
    with pytest.raises(StatusError, match=rf"(?s)Unknown tensor 'z.*Signature {kind} ") as caught:
        load_with(packed({"serving_default": definition(x, y)}))
    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize("metadata", [b"no map", b"", packed({"a": SignatureDef()})[:-4]])
def test_malformed_metadata(load_with: Add, metadata: bytes) -> None:
    with pytest.raises(StatusError, match="Invalid SignatureDefs found in TfLite model") as caught:
        load_with(metadata)
    assert caught.value.code is Code.INVALID_ARGUMENT
