from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.protos.model_config_pb2 import ModelServerConfig
from tfserve.protos.text_files import TextError, parse_text


def test_the_text_format() -> None:
    text = b"""
    # A comment.
    model_config_list: {
      config {
        name: "m", base_path: '/models' "/m"; model_platform: "tensorflow"
        model_version_policy { specific { versions: [1, 2] } }
        version_labels { key: 'stable' value: 1 }
      }
    }
    """
    (model,) = parse_text(text, ModelServerConfig()).model_config_list.config
    assert (model.name, model.base_path) == ("m", "/models/m")
    assert list(model.model_version_policy.specific.versions) == [1, 2]
    assert dict(model.version_labels) == {"stable": 1}


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        (b"model_config_list {\n config {\n  foo: 1 } }", 3, 3, 'Message type "tensorflow.serving.ModelConfig" has no'),
        (b"model_config_list { config {} ", 1, 29, 'Expected "}"'),
        (b"\nmodel_config_list { config { name: m } }", 2, 36, "Expected string but found: 'm'"),
        (b"\nab\xff", 2, 3, "Invalid UTF-8"),
        (b"model_config_list {} custom_model_config {}", 1, 22, "another member of oneof"),
        (b"custom_model_config { [type.googleapis.com/x.Y] {} }", 0, 0, "x.Y not found"),
    ],
)
def test_the_position_of_an_error(text: bytes, line: int, column: int, problem: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_text(text, ModelServerConfig())
    assert (caught.value.line, caught.value.column) == (line, column)
    assert problem in caught.value.problem
    assert "tfserve" not in str(caught.value)
    assert str(caught.value).startswith(f"{line}:{column}: " if line else caught.value.problem)


@given(st.binary() | st.text("modelcnfigst_:{}[]<>\"'1-.#/\n ", max_size=80).map(str.encode))
def test_any_text_is_parsed_or_refused(text: bytes) -> None:
    try:
        parse_text(text, ModelServerConfig())
    except TextError as failure:
        assert failure.problem
