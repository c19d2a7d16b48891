from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfserve.cli.model_arguments import parse_models
from tfserve.errors import SavedModelError, UsageError
from tfserve.models.url import Url
from tfserve.spec.model import ModelSpec
from tfserve.spec.versions import VersionPolicy


def test_paths_with_and_without_names(half_plus_two: Path, copied: Callable[[str], Path]) -> None:
    odd = copied("a=b")
    plain, named = str(half_plus_two), f"{half_plus_two}=other"
    assert parse_models([plain, named, f"{odd}=c", "no/such=d"]) == (
        ModelSpec(half_plus_two, "half_plus_two"),
        ModelSpec(half_plus_two, "other"),
        ModelSpec(odd, "c"),
        ModelSpec(Path("no/such"), "d"),
    )
    assert parse_models([plain], name="m") == (ModelSpec(half_plus_two, "m"),)
    with pytest.raises(UsageError, match="is not a model name"):
        parse_models([str(odd)])  # the default name is that of the directory


def test_archives_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packed.tar.gz").touch()
    words = [
        "packed.tar.gz",
        "packed.tar.gz=b",
        "https://host/c.zip?a=b",
        "https://host/c.zip=d",
        "s3://bucket/e/x=f=1",
    ]
    assert parse_models([*words[:4], "s3://bucket/e=f/e"]) == (
        ModelSpec(Path("packed.tar.gz"), "packed"),
        ModelSpec(Path("packed.tar.gz"), "b"),
        ModelSpec(Url("https://host/c.zip?a=b"), "c"),
        ModelSpec(Url("https://host/c.zip"), "d"),
        ModelSpec(Url("s3://bucket/e=f/e"), "e"),
    )
    assert parse_models(words[4:], name="m") == (ModelSpec(Url("s3://bucket/e/x=f=1"), "m"),)
    first, second = parse_models(["packed.tar.gz=a", "p=b"], digests=["a:" + "0" * 64])
    assert (first.sha256, second.sha256) == ("0" * 64, None)


def test_versions_and_labels() -> None:
    (only,) = parse_models(["p=m"], versions=["all"], labels=["stable=1", "m:canary=2"])
    assert only == ModelSpec(Path("p"), "m", VersionPolicy(None), {"stable": 1, "canary": 2})
    first, second = parse_models(["p=a", "p=b"], versions=["b:latest=2"], labels=["a:x=1"])
    assert (first.versions, first.labels) == (None, {"x": 1})
    assert (second.versions, second.labels) == (VersionPolicy(2), {})


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["p=a", "p=b"], {"versions": ["all"]}, "--versions all does not name a model"),
        (["p=a", "p=b"], {"labels": ["c:x=1"]}, "--label c:x=1 is for an unknown model 'c'"),
        (["p=a"], {"labels": ["x"]}, "is not a label of a version"),
        (["p=a"], {"labels": ["x="]}, "'x' has no version"),
        (["p=a"], {"labels": ["x=2", "a:x=3"]}, "'x' is assigned to two versions, 2 and 3"),
        (["p=a", "p=b"], {"name": "m"}, "requires a single model"),
        (["=a"], {}, "path of the model is empty"),
        ([""], {}, "path of the model is empty"),
        (["p="], {}, "has no name after the equals sign"),
        (["p=a", "p=b"], {"digests": ["0"]}, "--sha256 0 does not name a model"),
        (["ftp://a/b"], {}, "cannot read models from ftp://"),
    ],
)
def test_invalid_arguments(words: list[str], options: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_models(words, **options)  # type: ignore[arg-type]


def test_missing_model() -> None:
    with pytest.raises(SavedModelError):
        parse_models(["no/such"])
