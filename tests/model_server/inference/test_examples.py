from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tfserve.model_server.inference.examples import examples_call, serialized_examples
from tfserve.model_server.runtime.loading import load_servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.apis_pb2 import Example, ExampleList, ExampleListWithContext, Input


def test_examples_are_passed_on_unchanged() -> None:
    message = Input(example_list=ExampleList(examples=[b"not parsed", b""]))
    assert serialized_examples(message) == [b"not parsed", b""]


def test_a_context_merges_with_each_example() -> None:
    context, example = Example(), Example()
    context.features.feature["c"].int64_list.value.append(1)
    example.features.feature["e"].int64_list.value.append(2)
    message = Input(
        example_list_with_context=ExampleListWithContext(
            context=context.SerializeToString(), examples=[example.SerializeToString(), b""]
        )
    )
    merged, alone = [Example.FromString(serialized).features.feature for serialized in serialized_examples(message)]
    assert set(merged) == {"c", "e"}
    assert set(alone) == {"c"}


@pytest.mark.parametrize(
    "message",
    [
        Input(),
        Input(example_list=ExampleList()),
        Input(example_list_with_context=ExampleListWithContext(context=b"c")),
    ],
)
def test_no_examples_are_an_error(message: Input) -> None:
    with pytest.raises(StatusError, match=r"Input is empty\.") as caught:
        serialized_examples(message)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_input_that_is_not_a_string_tensor(half_plus_two: Path) -> None:
    name = "regress_x2_to_y3"
    with (
        closing(load_servable("half_plus_two", 1, half_plus_two / "1", LoadOptions())) as servable,
        pytest.raises(StatusError, match=r"Expects arg\[0\] to be float but string is provided"),
    ):
        examples_call(name, servable.signatures[name], [b""], ("outputs",))
