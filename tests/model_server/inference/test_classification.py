from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfserve.model_server.inference.classification import classification_outputs, read_classifications
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError


def labels(*rows: list[bytes]) -> Any:
    array = np.empty((len(rows), len(rows[0])), np.object_)
    array[:] = rows
    return array


def scores(*rows: list[float]) -> Any:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("serving_default", ("classes", "scores")),
        ("only_scores", ("scores",)),
        ("only_classes", ("classes",)),
        ("other_method", ("classes", "scores")),
    ],
)
def test_signatures_that_classify(examples: Servable, name: str, outputs: tuple[str, ...]) -> None:
    assert classification_outputs(examples.signatures[name], check_method=False) == outputs


@pytest.mark.parametrize(
    ("name", "check", "message"),
    [
        ("other_method", True, "Expected classification signature method_name to be tensorflow/serving/classify. Was"),
        ("three", False, "Expected one or two output Tensors, found 3"),
        ("nothing", False, 'to contain at least one of "classes" or "scores". Signature was: inputs {'),
    ],
)
def test_signatures_that_do_not(examples: Servable, name: str, check: bool, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        classification_outputs(examples.signatures[name], check)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pair", "Expected one input Tensor."),
        ("total", "No classification inputs found in SignatureDef: inputs {"),
    ],
)
def test_signatures_without_the_input(zoo: Servable, name: str, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        classification_outputs(zoo.signatures[name], check_method=False)
    assert message in caught.value.message


def test_both_outputs(examples: Servable) -> None:
    outputs = {"classes": labels([b"a", b"b"]), "scores": scores([1, 2])}
    read = read_classifications(examples.signatures["serving_default"], outputs, 1)
    assert read.labels.tolist() == [[b"a", b"b"]]
    assert read.scores.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"scores": scores([1])[0]}, "Expected Tensor shape: [batch_size num_classes] but got [1]"),
        ({"classes": labels([b"a"]).reshape(1, 1, 1)}, "but got [1,1,1]"),
        ({"classes": scores([1])}, "Expected classes Tensor of DT_STRING. Got: DT_STRING"),
        ({"scores": np.zeros((1, 1))}, "Expected scores Tensor of DT_FLOAT. Got: DT_FLOAT"),
        ({"classes": labels([b"a"], [b"b"])}, "Expected classes output batch size of 1. Got: 2"),
        ({"scores": scores([1], [2])}, "Expected scores output batch size of 1. Got: 2"),
        (
            {"classes": labels([b"a"]), "scores": scores([1, 2])},
            "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
        ),
    ],
)
def test_outputs_that_are_not_classes(examples: Servable, outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        read_classifications(examples.signatures["serving_default"], outputs, 1)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message
