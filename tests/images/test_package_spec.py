from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.engines.docker.packaged import PackagedModel, declared_models, packaged_label, packaged_models
from tfserve.errors import UsageError
from tfserve.images.package_spec import PackageSpec, parse_labels
from tfserve.plan.labels import PACKAGED
from tfserve.protos.model_config_pb2 import ModelServerConfig
from tfserve.protos.text_files import parse_text
from tfserve.spec.image import ImageReference
from tfserve.spec.model import ModelSpec

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
DIGEST = f"sha256:{'0' * 64}"


def spec(*names: str, image: str = "me/m:1", **changes: Any) -> PackageSpec:
    return PackageSpec(tuple(ModelSpec(Path(), name) for name in names), ImageReference.parse(image), **changes)


def test_one_model() -> None:
    one = spec("m")
    assert one.environment == {"MODEL_BASE_PATH": "/models", "MODEL_NAME": "m"}
    assert one.entrypoint(["/run"]) == ("/run",)
    assert one.files == {}


def test_several_models() -> None:
    two = spec("a", "b.c-d")
    assert two.environment == {"MODEL_BASE_PATH": "/models"}
    ((name, text),) = two.files.items()
    assert two.entrypoint(["/run"]) == ("/run", f"--model_config_file=/models/{name}")
    configs = parse_text(text, ModelServerConfig()).model_config_list.config
    assert [(config.name, config.base_path, config.model_platform) for config in configs] == [
        ("a", "/models/a", "tensorflow"),
        ("b.c-d", "/models/b.c-d", "tensorflow"),
    ]
    with pytest.raises(UsageError):
        ModelSpec(Path(), name)  # so a model cannot be in its place


def test_models_in_images_of_the_guide() -> None:
    mine = {"MODEL_NAME": "mine"}
    assert declared_models({}, mine) == (PackagedModel("mine", (), ""),)
    assert declared_models({}, {"MODEL_NAME": "model"}) == declared_models({}, {}) == ()
    label = packaged_label([PackagedModel("labeled", (1,), DIGEST)])
    assert [model.name for model in declared_models({PACKAGED: label}, mine)] == ["labeled"]


def test_annotations() -> None:
    wanted = spec("a", "b", labels={"team": "x"}, base=ImageReference.parse("tensorflow/serving:2.19.1"))
    assert wanted.annotations(base_digest=DIGEST, created=NOW) == {
        "org.opencontainers.image.title": "a, b",
        "org.opencontainers.image.version": "1",
        "org.opencontainers.image.created": "2025-01-02T03:04:05Z",
        "org.opencontainers.image.base.name": "docker.io/tensorflow/serving:2.19.1",
        "org.opencontainers.image.base.digest": DIGEST,
        "team": "x",
    }
    assert "org.opencontainers.image.base.digest" not in wanted.annotations(base_digest=None, created=NOW)


def test_labels_of_the_user_take_precedence() -> None:
    title = "org.opencontainers.image.title"
    assert spec("a", labels={title: "mine"}).annotations(base_digest=None, created=NOW)[title] == "mine"


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,10}", fullmatch=True)
MODELS = st.builds(PackagedModel, NAMES, st.lists(st.integers(0, 2**63 - 1)).map(tuple), st.just(DIGEST))


@given(st.lists(MODELS, unique_by=lambda model: model.name).map(tuple))
def test_packaged_label_needs_no_quoting(models: tuple[PackagedModel, ...]) -> None:
    text = packaged_label(models)
    assert not set(text) & set("'\\$\n")
    assert packaged_models({PACKAGED: text}) == models


@pytest.mark.parametrize("text", ["", "{", "1", "[1]", '{"m": 1}', '{"m": {"versions": 1, "digest": ""}}', '{"m": {}}'])
def test_damaged_packaged_label(text: str) -> None:
    assert packaged_models({PACKAGED: text}) == ()
    assert packaged_models({}) == ()


@pytest.mark.parametrize(
    ("names", "changes", "words"),
    [
        (["m", "m"], {}, "Two models are named 'm'"),
        (["m"], {"image": f"me/m@{DIGEST}"}, "contains a digest"),
        (["m"], {"image": "docker.io/tensorflow/serving"}, "is also the base image"),
        (["m"], {"platform": "arm"}, "not a platform"),
    ],
)
def test_invalid_requests(names: list[str], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        spec(*names, **changes)
    assert caught.value.hint


def test_labels() -> None:
    assert parse_labels(["a=", "org.x/y-z_1=b=c d\n'\"$"]) == {"a": "", "org.x/y-z_1": "b=c d\n'\"$"}


@pytest.mark.parametrize("text", ["", "a", "=b", " a=b", "a b=c", "tfserve.name=x", "a=\0", "a=\udcff", "ä=b"])
def test_invalid_labels(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_labels([text])
    assert caught.value.hint
