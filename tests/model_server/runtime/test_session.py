from __future__ import annotations

import resource
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.model_server.server_process import PATIENCE
from tests.program import eventually
from tfserve.model_server.runtime import tensors
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.saved_model_pb2 import DataType, SavedModel, SignatureDef

NUMBERS = (
    *("float32", "float64", "float16", "complex64", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


def strings(values: Any) -> Any:
    flat: Any = np.empty(len(values), np.object_)
    flat[:] = values
    return flat


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 1)])
def test_every_type_and_shape_is_returned_unchanged(zoo: Servable, dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    back = zoo.run(f"echo_{dtype}", {"x": values})["y"]
    assert (back.dtype, back.shape) == (values.dtype, shape)
    np.testing.assert_array_equal(back, values)


def test_bfloat16(zoo: Servable) -> None:
    dtype = numpy_dtype(zoo.inputs("echo_bfloat16")["x"])
    back = zoo.run("echo_bfloat16", {"x": np.array([1.5, np.inf, -3], dtype)})["y"]
    assert back.dtype == dtype
    assert back.astype(np.float32).tolist() == [1.5, np.inf, -3.0]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_strings_of_any_bytes_and_length(zoo: Servable, values: list[bytes]) -> None:
    assert zoo.run("echo_string", {"x": strings(values)})["y"].tolist() == values


@given(npst.arrays(np.float32, npst.array_shapes(max_dims=5)))
def test_arrays_that_are_not_contiguous(zoo: Servable, values: Any) -> None:
    np.testing.assert_array_equal(zoo.run("echo_float32", {"x": values.T})["y"], values.T)


def test_values_larger_than_a_c_int_can_count(zoo: Servable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "_MAX_C_INT", 3)  # reaching the real limit would take 4 GiB
    test_every_type_and_shape_is_returned_unchanged(zoo, "float32", (2, 3))
    assert zoo.run("echo_string", {"x": np.array([b"abcd", b""], object)})["y"].tolist() == [b"abcd", b""]


def test_results_outlive_the_run(zoo: Servable) -> None:
    kept = [zoo.run("echo_int64", {"x": np.full(100, number)})["y"] for number in range(50)]
    assert [int(array.sum()) for array in kept] == [100 * number for number in range(50)]


def test_several_inputs_and_outputs(zoo: Servable) -> None:
    words = strings([b"a", b"b", b"c\0", b"d"]).reshape(2, 2)
    outputs = zoo.run("pair", {"words": words, "number": np.array([1, 2], np.int32)})
    assert outputs["double"].tolist() == [2.0, 4.0]
    assert outputs["joined"].tolist() == [b"ab", b"c\0d"]
    assert outputs["words_bytes"].tolist() == words.tolist()


def test_a_wrong_shape_gets_tensorflows_error(zoo: Servable) -> None:
    for _ in range(3):  # the first runs and the later ones use different threads
        with pytest.raises(StatusError) as caught:
            zoo.run("", {"x": np.zeros(3, np.float32)})
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert zoo.run("", {"x": np.zeros(2, np.float32)})["y"].shape == (2,)


def test_an_unknown_signature(zoo: Servable) -> None:
    with pytest.raises(StatusError, match='name: "nope" not found in signature def'):
        zoo.inputs("nope")


class Hold:
    """A run of the signature ``hold``, which lasts until its file `go` exists."""

    def __init__(self, directory: Path) -> None:
        self.started, self.go = directory / "started", directory / "go"

    def run(self, servable: Servable, timeout_ms: int = 0) -> None:
        inputs = {
            "started": np.array(str(self.started).encode(), object),
            "go": np.array(str(self.go).encode(), object),
        }
        servable.run("hold", inputs, timeout_ms=timeout_ms)


def test_a_run_that_exceeds_its_time_limit_is_ended(models: Path, tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with (
        closing(load_servable("zoo", 1, models / "zoo" / "1", LoadOptions())) as servable,
        ThreadPoolExecutor() as threads,
    ):
        try:
            failure = threads.submit(hold.run, servable, timeout_ms=200).exception(PATIENCE)
        finally:
            hold.go.touch()
    assert isinstance(failure, StatusError)
    assert failure.code is Code.DEADLINE_EXCEEDED


def run_until_fast(servable: Servable, signature: str, arrays: dict[str, Any]) -> None:
    """Runs a signature until it counts as fast: other work on the machine can make a short run take long."""

    def is_fast() -> bool:
        servable.run(signature, arrays)
        return servable.is_fast(signature)

    eventually(is_fast, PATIENCE)


def test_short_runs_are_fast_and_long_ones_are_not(models: Path) -> None:
    with closing(load_servable("zoo", 1, models / "zoo" / "1", LoadOptions())) as servable:
        assert not servable.is_fast("total")
        run_until_fast(servable, "total", {"x": np.zeros(1, np.float32)})
        for _ in range(5):
            servable.run("wait", {"seconds": np.array([0.02])})
            assert not servable.is_fast("wait")


def test_a_signature_is_fast_by_the_average_of_its_runs() -> None:
    signature = Signature(SignatureDef())
    expected = []
    for seconds in (1.0, 0.001, 0.001, 0.004, 0.004, 0.001, 0.010, 0.001, 0.001):
        signature.record_duration(seconds)
        expected.append(signature.is_fast)
    assert expected == [False, True, True, True, False, True, False, False, True]


def test_one_slow_failure_makes_a_signature_slow(models: Path) -> None:
    with closing(load_servable("zoo", 1, models / "zoo" / "1", LoadOptions())) as servable:
        run_until_fast(servable, "wait", {"seconds": np.zeros(1)})
        with pytest.raises(StatusError, match="an eighth"):
            servable.run("wait", {"seconds": np.array([0.125])})
        assert not servable.is_fast("wait")


def test_runs_release_the_gil(zoo: Servable, tmp_path: Path) -> None:
    hold, seen = Hold(tmp_path), tmp_path / "seen"
    # Another process ends the run, as no thread of this one could if the run kept the GIL.
    script = 'for _ in $(seq 600); do [ -e "$0" ] && break; sleep 0.1; done; touch "$1"'
    with subprocess.Popen(["sh", "-c", script, str(seen), str(hold.go)]):
        thread = threading.Thread(target=hold.run, args=(zoo,))
        thread.start()
        eventually(hold.started.exists, PATIENCE)
        assert not hold.go.exists()
        seen.touch()
        thread.join()


def test_memory_does_not_grow(zoo: Servable) -> None:
    big = np.zeros(250_000, np.float32)
    text = strings([b"x" * 1000] * 100)

    def run(times: int) -> int:
        for _ in range(times):
            zoo.run("echo_float32", {"x": big})
            zoo.run("echo_string", {"x": text})
            with pytest.raises(StatusError):
                zoo.run("two", {"x": big})
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = run(20)
    assert run(200) - before < 20_000  # kilobytes; one leaked array each time would be 200,000


@pytest.mark.parametrize(
    ("damage", "code"),
    [("empty", None), ("cut", None), ("none", Code.NOT_FOUND), ("variables", None)],
)
def test_a_broken_model_is_an_error(half_plus_two: Path, tmp_path: Path, damage: str, code: Code | None) -> None:
    directory = tmp_path / "1"
    shutil.copytree(half_plus_two / "1", directory)
    graph = directory / "saved_model.pb"
    if damage == "empty":
        graph.write_bytes(b"")
    elif damage == "cut":
        graph.write_bytes(graph.read_bytes()[:500])
    elif damage == "none":
        graph.unlink()
    else:
        (directory / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(StatusError) as caught:
        load_servable("m", 1, directory, LoadOptions())
    assert caught.value.message
    assert code is None or caught.value.code is code


def test_unknown_tags(half_plus_two: Path) -> None:
    with pytest.raises(StatusError) as caught:
        load_servable("m", 1, half_plus_two / "1", LoadOptions(tags=("serve", "tpu")))
    assert caught.value.code is Code.NOT_FOUND


def test_a_function_with_jit_compile_runs(zoo: Servable) -> None:
    assert zoo.run("compiled", {"x": np.array([1, 2, 5], np.float32)})["y"].tolist() == [2.0, 5.0, 26.0]


def test_a_model_in_text_format(models: Path) -> None:
    directory = models / "text" / "2"
    assert not (directory / "saved_model.pb").exists()
    with closing(load_servable("m", 2, directory, LoadOptions())) as servable:
        assert servable.inputs("") == {"x": DataType.DT_FLOAT}
        assert servable.run("", {"x": np.zeros(3, np.float32)})["y"].tolist() == [2.0, 2.0, 2.0]


def test_a_signature_with_tensors_that_do_not_exist_is_refused_when_it_is_run(
    half_plus_two: Path, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(half_plus_two / "1", tmp_path / "1"))
    model = SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    signatures = model.meta_graphs[0].signature_def
    for name in ("no input", "no name", "sparse"):
        signatures[name].CopyFrom(signatures["serving_default"])
    signatures["no input"].inputs["x"].name = "nosuch:0"
    signatures["no name"].inputs["x"].name = ""
    signatures["sparse"].inputs["x"].coo_sparse.values_tensor_name = "x:0"
    signatures["serving_default"].outputs["z"].CopyFrom(signatures["serving_default"].outputs["y"])
    signatures["serving_default"].outputs["z"].name = "^y"
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())
    x = {"x": np.array([1], np.float32)}
    with closing(load_servable("m", 1, directory, LoadOptions())) as servable:
        for signature, message in (
            ("no input", "FeedInputs: unable to find feed output nosuch:0"),
            ("no name", "FeedInputs: unable to find feed output "),
            ("sparse", "FeedInputs: unable to find feed output "),
            ("serving_default", "FetchOutputs node ^y: not found"),
        ):
            with pytest.raises(StatusError) as caught:
                servable.run(signature, x)
            assert (caught.value.code, caught.value.message) == (Code.NOT_FOUND, message)
        assert servable.run("serving_default", x, ("y",))["y"].tolist() == [2.5]
