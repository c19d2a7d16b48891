from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.model_server.models.config import (
    All,
    Latest,
    ModelConfig,
    Specific,
    _warn_that_requests_are_not_logged,
    base_path_of,
    model_configs,
)
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.model_config_pb2 import ModelServerConfig
from tfserve.protos.text_files import parse_text

GOOD = 'base_path: "/m" model_platform: "tensorflow"'


def read(text: str, *current: str) -> tuple[ModelConfig, ...]:
    """Returns the models of the configuration `text`, which replaces one with the models `current`."""
    message = parse_text(text.encode(), ModelServerConfig())
    return model_configs(message, [ModelConfig(name, Path("/m")) for name in current])


def read_list(*models: str, current: tuple[str, ...] = ()) -> tuple[ModelConfig, ...]:
    return read("model_config_list {" + "".join(f"config {{ {model} }}" for model in models) + "}", *current)


def test_every_field_of_a_model() -> None:
    assert read_list(
        f'name: "a" {GOOD}',
        f'name: "b" {GOOD} model_version_policy {{ latest {{ num_versions: 3 }} }}',
        f'name: "c" {GOOD} model_version_policy {{ latest {{}} }} version_labels {{ key: "l" value: 7 }}',
        f'name: "d" {GOOD} model_version_policy {{ all {{}} }}',
        f'name: "e" {GOOD} model_version_policy {{ specific {{ versions: 2 versions: 1 versions: 2 }} }}',
        'name: "f" base_path: "file:///m/" model_type: TENSORFLOW',
    ) == (
        ModelConfig("a", Path("/m")),
        ModelConfig("b", Path("/m"), Latest(3)),
        ModelConfig("c", Path("/m"), Latest(1), {"l": 7}),
        ModelConfig("d", Path("/m"), All()),
        ModelConfig("e", Path("/m"), Specific((1, 2))),
        ModelConfig("f", Path("/m")),
    )


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            (f'name: "a" {GOOD}', f'name: "a" {GOOD}'),
            "Illegal to list model a multiple times in config list",
        ),
        (
            ('name: "a" model_platform: "tensorflow"',),
            "Expected model a to have an absolute path or URI; got base_path()=",
        ),
        (
            ('name: "a" base_path: "m/a" model_platform: "tensorflow"',),
            "Expected model a to have an absolute path or URI; got base_path()=m/a",
        ),
        (
            ('name: "a" base_path: "/m"',),
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is a",
        ),
        (
            (f'name: "a" model_type: TENSORFLOW {GOOD}',),
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            "model name is a",
        ),
        (
            ('name: "a" base_path: "/m" model_type: OTHER',),
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        (
            ('name: "a" base_path: "/m" model_platform: "jax"',),
            "Model a requests unsupported platform jax",
        ),
        (
            ('name: "old" base_path: "/m" model_platform: "jax"',),
            "Illegal to change a model's platform. For model old platform was tensorflow and new platform requested "
            "is jax",
        ),
    ],
)
def test_invalid_models_are_refused(models: tuple[str, ...], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        read_list(*models, current=("old",))
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


def test_a_list_of_models_can_only_be_replaced_by_another_list(capfd: pytest.CaptureFixture[str]) -> None:
    assert read("") == read("model_config_list {}") == read("model_config_list {}", "old") == ()
    assert capfd.readouterr().err.count("Taking no action for empty config.") == 1
    with pytest.raises(StatusError, match="does not yet support custom model config") as custom:
        read("custom_model_config {}")
    assert custom.value.code is Code.UNIMPLEMENTED
    for text in ("", "custom_model_config {}"):
        with pytest.raises(StatusError, match="only legal to transition from one ModelConfigList to") as caught:
            read(text, "old")
        assert caught.value.code is Code.FAILED_PRECONDITION


def test_deprecated_fields_and_fields_without_effect_are_logged(capfd: pytest.CaptureFixture[str]) -> None:
    _warn_that_requests_are_not_logged.cache_clear()
    for _ in range(2):
        assert read_list('name: "a" base_path: "/m" model_type: TENSORFLOW logging_config {}')
    log = capfd.readouterr().err
    assert "Deprecated ModelServerConfig::model_type field used. Prefer ModelServerConfig::model_platform." in log
    assert log.count("logging_config has no effect in this server") == 1


def test_base_paths() -> None:
    assert base_path_of("m", "/a/b/") == base_path_of("m", "file:///a/b") == Path("/a/b")
    with pytest.raises(StatusError, match="File system scheme 'gs' not implemented \\(file: 'gs://b/m'\\)") as caught:
        base_path_of("m", "gs://b/m")
    assert caught.value.code is Code.UNIMPLEMENTED
