from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.program import Copy
from tfserve.errors import TfserveError, UsageError
from tfserve.models.url import Url
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import ServedModel, read_models_config, served_models, to_text
from tfserve.spec.versions import VersionPolicy

POLICIES = st.sampled_from([VersionPolicy(), VersionPolicy(2), VersionPolicy(None), VersionPolicy(1, (1, 5))])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.builds(ServedModel, TEXT, TEXT, POLICIES, st.dictionaries(TEXT, st.integers(0, 2**63 - 1)))))
def test_round_trip(models: list[ServedModel]) -> None:
    text = to_text(models)
    assert served_models(text) == tuple(models)
    for cut in {len(text) // 2, len(text) - 2} if models else ():
        with pytest.raises(UsageError):  # a file that is read while it is written is not accepted
            served_models(text[:cut])


def test_path_that_is_not_utf_8() -> None:
    with pytest.raises(UsageError, match="is not valid UTF-8"):
        to_text([ServedModel("m", "/\udcff")])


def config(directory: Path, text: str) -> Path:
    file = directory / "models.config"
    file.write_text(text)
    return file


def entry(base_path: object, more: str = 'model_platform: "tensorflow"', name: str = "m") -> str:
    return f'model_config_list {{\n  config {{ name: "{name}"\n base_path: "{base_path}" {more} }}\n}}'


def test_read_models_config(copied: Copy, tmp_path: Path) -> None:
    half_plus_two = copied("half_plus_two")
    shutil.copytree(half_plus_two / "1", half_plus_two / "3")
    more = (
        "model_type: TENSORFLOW model_version_policy { specific { versions: 3 versions: 1 } } "
        "version_labels { key: 'stable' value: 1 }"
    )
    expected = (ModelSpec(half_plus_two, "m", VersionPolicy(1, (1, 3)), {"stable": 1}),)
    assert read_models_config(config(tmp_path, entry(half_plus_two, more))) == expected
    assert read_models_config(config(tmp_path, entry(f"file://{half_plus_two}", more))) == expected
    in_bucket = (ModelSpec(Url("gs://bucket/m"), "m", VersionPolicy()),)
    assert read_models_config(config(tmp_path, entry("gs://bucket/m"))) == in_bucket


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("model_config_list {\n  confg {} }", UsageError, "models.config', line 2, column 3: "),
        ("model_config_list {}", UsageError, "does not list any models"),
        ("custom_model_config {}", UsageError, "does not list any models"),
        (
            entry("x/m"),
            UsageError,
            "models.config', line 2: The base_path 'x/m' of the model 'm' is not",
        ),
        (entry("https://a/b.zip"), UsageError, "is not an absolute path"),
        (entry("s3://bucket/m?c"), UsageError, "line 2: The address of the model is not a path in a bucket"),
        (entry("/tmp", ""), UsageError, "is not a TensorFlow model"),
        (entry("/tmp", 'model_platform: "caffe"'), UsageError, "is not a TensorFlow model"),
        (entry("/tmp", name="a/b"), UsageError, "'a/b' is not a model name"),
    ],
)
def test_invalid_files(text: str, error: type[TfserveError], words: str, tmp_path: Path) -> None:
    with pytest.raises(error) as caught:
        read_models_config(config(tmp_path, text))
    assert words in caught.value.message
    assert caught.value.hint


def test_hints_use_the_names_of_the_file(tmp_path: Path) -> None:
    file = config(tmp_path, entry("/tmp", name="a b"))
    with pytest.raises(UsageError) as caught:
        read_models_config(file)
    assert str(caught.value.hint).endswith("for example name: a_b")


def test_directories_need_not_exist(tmp_path: Path) -> None:
    assert read_models_config(config(tmp_path, entry("/no/such")))[0].path == Path("/no/such")


@given(st.binary(max_size=60) | st.text('model_cnfigst{}:"/ \n', max_size=60).map(str.encode))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "models.config"
    file.write_bytes(text)
    with pytest.raises(TfserveError):
        read_models_config(file)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    file = config(tmp_path, "")
    file.chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        read_models_config(file)
