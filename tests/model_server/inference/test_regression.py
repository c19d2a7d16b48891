from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfserve.model_server.inference.regression import read_regressions, regression_outputs
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import Code, StatusError


@pytest.mark.parametrize("check", [False, True])
def test_signatures_that_regress(examples: Servable, check: bool) -> None:
    assert regression_outputs(examples.signatures["regress"], check) == ("outputs",)


@pytest.mark.parametrize(
    ("name", "check", "message"),
    [
        (
            "only_scores",
            True,
            "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensor",
        ),
        ("serving_default", False, "Expected one output Tensor."),
        ("regress_other", False, "No regression outputs found in SignatureDef: inputs {"),
    ],
)
def test_signatures_that_do_not(examples: Servable, name: str, check: bool, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        regression_outputs(examples.signatures[name], check)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hold", "Expected one input Tensor."),
        ("two", "No regression inputs found in SignatureDef: inputs {"),
    ],
)
def test_signatures_without_the_input(zoo: Servable, name: str, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        regression_outputs(zoo.signatures[name], check_method=False)
    assert message in caught.value.message


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_values(examples: Servable, shape: tuple[int, ...]) -> None:
    outputs: Any = {"outputs": np.array([1, 2], np.float32).reshape(shape)}
    assert read_regressions(examples.signatures["regress"], outputs, 2).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(()), "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []"),
        (np.zeros((2, 2)), "but got [2,2]"),
        (np.zeros(3), "Input batch size did not match output batch size: 2 vs. 3"),
        (np.zeros(2), "Expected output Tensor of DT_FLOAT.  Got: DT_FLOAT"),
    ],
)
def test_outputs_that_are_not_values(examples: Servable, array: Any, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        read_regressions(examples.signatures["regress"], {"outputs": array}, 2)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message
