from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.runtime.session_config import SessionFlags, session_config
from tfserve.model_server.status import Code, StatusError
from tfserve.protos import server_config_pb2
from tfserve.protos.server_config_pb2 import ConfigProto, RewriterConfig

DESCRIBE = """
import importlib.util, json, sys, types
package = types.ModuleType("tensorflow")  # its own __init__ takes seconds
package.__path__ = importlib.util.find_spec("tensorflow").submodule_search_locations
sys.modules["tensorflow"] = package
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
def fields(message):
    yield from ((f.full_name, f.number, f.type) for f in message.fields)
    for inner in message.nested_types:
        yield from fields(inner)
messages = [config_pb2.ConfigProto, config_pb2.GPUOptions, config_pb2.GraphOptions, config_pb2.OptimizerOptions]
messages += [config_pb2.ThreadPoolOptionProto, rewriter_config_pb2.RewriterConfig]
print(json.dumps([field for message in messages for field in fields(message.DESCRIPTOR)]))
"""


def configured(**flags: object) -> ConfigProto:
    return ConfigProto.FromString(session_config(SessionFlags(**flags)))  # type: ignore[arg-type]


def test_flags_without_a_file() -> None:
    assert configured() == ConfigProto(gpu_options={"per_process_gpu_memory_fraction": 0})
    both = configured(session_parallelism=3)
    assert (both.intra_op_parallelism_threads, both.inter_op_parallelism_threads) == (3, 3)
    one = configured(session_parallelism=3, intra_op_parallelism=2)
    assert (one.intra_op_parallelism_threads, one.inter_op_parallelism_threads) == (2, 0)
    huge = configured(intra_op_parallelism=1 << 40, inter_op_parallelism=-1)
    assert (huge.intra_op_parallelism_threads, huge.inter_op_parallelism_threads) == ((1 << 31) - 1, 0)
    assert configured(per_process_gpu_memory_fraction=0.25).gpu_options.per_process_gpu_memory_fraction == 0.25


def test_flags_override_the_file(tmp_path: Path) -> None:
    file = tmp_path / "session.config"
    file.write_text(
        "intra_op_parallelism_threads: 7 inter_op_parallelism_threads: 8\n"
        "gpu_options { per_process_gpu_memory_fraction: 0.5 allow_growth: true }\n"
        "graph_options { rewrite_options { disable_meta_optimizer: true } }  # a comment\n"
        'device_count { key: "CPU" value: 1 }\n'
    )
    config = configured(session_config_file=str(file), inter_op_parallelism=2, mixed_precision="bfloat16")
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (0, 2)
    assert config.gpu_options.per_process_gpu_memory_fraction == 0
    assert config.gpu_options.allow_growth
    assert config.graph_options.rewrite_options.disable_meta_optimizer
    assert config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 == RewriterConfig.ON
    assert config.device_count["CPU"] == 1


def test_flags_that_contradict_each_other() -> None:
    with pytest.raises(StatusError, match="You cannot configure all") as caught:
        configured(session_parallelism=1, intra_op_parallelism=1, inter_op_parallelism=1)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("text", [b"intra_op_parallelism_threads: x", b"no_such_field: 1", b"\xff\xfe", b"{" * 5000])
def test_a_file_that_is_not_a_config(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "session.config"
    file.write_bytes(text)
    with pytest.raises(StatusError, match=f"Invalid protobuf file: '{file}'") as caught:
        configured(session_config_file=str(file))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="No such file or directory") as caught:
        configured(session_config_file=str(tmp_path / "nope"))
    assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(StatusError, match="Is a directory"):
        configured(session_config_file=str(tmp_path))


def test_sessions_are_made_with_the_config(half_plus_two: Path) -> None:
    good = LoadOptions(session_config=session_config(SessionFlags(intra_op_parallelism=3, mixed_precision="bfloat16")))
    with closing(load_servable("m", 1, half_plus_two / "1", good)) as servable:
        assert servable.run("", {"x": np.array([1, 2, 5], np.float32)})["y"].tolist() == [2.5, 3.0, 4.5]
    no_such_executor = ConfigProto(experimental={"executor_type": "no such executor"})
    with pytest.raises(StatusError, match="no such executor"):
        load_servable("m", 1, half_plus_two / "1", LoadOptions(session_config=no_such_executor.SerializeToString()))


def test_every_field_has_tensorflows_number_and_type() -> None:
    described = subprocess.run([sys.executable, "-c", DESCRIBE], capture_output=True, text=True, check=True).stdout
    theirs = {(name.removeprefix("tensorflow."), number, kind) for name, number, kind in json.loads(described)}
    names = ("ConfigProto", "GPUOptions", "GraphOptions", "OptimizerOptions", "ThreadPoolOptionProto", "RewriterConfig")
    pending = [server_config_pb2.DESCRIPTOR.message_types_by_name[name] for name in names]
    while pending:
        message = pending.pop()
        pending += message.nested_types
        for field in message.fields:
            name = field.full_name.removeprefix("tfserve.protos.")
            assert (name, field.number, field.type) in theirs
