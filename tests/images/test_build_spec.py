from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfserve.errors import UsageError
from tfserve.images.build_spec import BuildSpec, BuildStep, build_steps, dockerfiles
from tfserve.spec.image import ImageReference

DOCKERFILES = Path(__file__).parents[1] / "e2e" / "serving_sources"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def spec(**changes: Any) -> BuildSpec:
    return BuildSpec(Path("/src"), ImageReference.parse("me/serving:1"), **changes)


def steps(wanted: BuildSpec, commit: str | None = None) -> tuple[BuildStep, BuildStep]:
    first, second = ((DOCKERFILES / name).read_text() for name in dockerfiles(gpu=wanted.gpu))
    return build_steps(wanted, (first, second), commit)


def test_two_steps_of_the_guide() -> None:
    directory = "tensorflow_serving/tools/docker"
    devel = ImageReference.parse("me/serving:1-devel")
    assert steps(spec()) == (
        BuildStep(f"{directory}/Dockerfile.devel", devel, {}, pull=True, kind="devel"),
        BuildStep(
            f"{directory}/Dockerfile",
            ImageReference.parse("me/serving:1"),
            {"TF_SERVING_BUILD_IMAGE": "me/serving:1-devel"},
            pull=False,
            kind="serving",
        ),
    )
    assert [step.dockerfile for step in steps(spec(gpu=True))] == [
        f"{directory}/Dockerfile.devel-gpu",
        f"{directory}/Dockerfile.gpu",
    ]


def test_kinds() -> None:
    assert [step.kind for step in steps(spec(gpu=True))] == ["devel-gpu", "serving-gpu"]


@pytest.mark.parametrize(
    ("default", "options", "expected"),
    [
        ('="--config=release"', (), "--config=release --local_ram_resources=2048"),
        ("", (), "--local_ram_resources=2048"),
        ("=${OTHER}", (), "--local_ram_resources=2048"),
        ('="--config=release"', ("--copt=-mavx",), "--copt=-mavx --local_ram_resources=2048"),
    ],
)
def test_memory_limit_in_older_releases(default: str, options: tuple[str, ...], expected: str) -> None:
    texts = (f"FROM x\nARG TF_SERVING_BUILD_OPTIONS{default}\n", "ARG TF_SERVING_BUILD_IMAGE")
    devel, _ = build_steps(spec(options=options, ram=2048), texts, None)
    assert devel.arguments == {"TF_SERVING_BUILD_OPTIONS": expected}


def test_build_arguments() -> None:
    devel, serving = steps(spec(options=("--copt=-mavx2", "--config=release"), ram=2048), COMMIT)
    assert devel.arguments == {
        "TF_SERVING_VERSION_GIT_COMMIT": COMMIT,
        "TF_SERVING_BUILD_OPTIONS": "--copt=-mavx2 --config=release",
        "TF_SERVING_BAZEL_OPTIONS": "--local_ram_resources=2048",
    }
    assert serving.arguments == {
        "TF_SERVING_VERSION_GIT_COMMIT": COMMIT,
        "TF_SERVING_BUILD_IMAGE": "me/serving:1-devel",
    }


@pytest.mark.parametrize(
    ("texts", "changes", "words"),
    [
        (
            ("FROM x", "ARG TF_SERVING_BUILD_IMAGE"),
            {"options": ("--a",)},
            "no ARG TF_SERVING_BUILD_OPTIONS, .* options",
        ),
        (
            ("FROM x", "ARG TF_SERVING_BUILD_IMAGE"),
            {"ram": 2048},
            "no ARG TF_SERVING_BAZEL_OPTIONS, .* memory",
        ),
        (("FROM x", "FROM x\n# ARG TF_SERVING_BUILD_IMAGE"), {}, "Dockerfile has no ARG TF_SERVING_BUILD_IMAGE"),
    ],
)
def test_dockerfiles_without_arguments(texts: tuple[str, str], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        build_steps(spec(**changes), texts, None)
    assert caught.value.hint


def test_other_spellings_of_arguments() -> None:
    texts = ("  arg TF_SERVING_BUILD_OPTIONS\n", "FROM x\n\tARG  TF_SERVING_BUILD_IMAGE=y")
    devel, _ = build_steps(spec(options=("-s", "--jobs=2")), texts, COMMIT)
    assert devel.arguments == {"TF_SERVING_BUILD_OPTIONS": "-s --jobs=2"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ram": 0}, "0 MB"),
        ({"ram": -1}, "-1 MB"),
        ({"options": ("opt",)}, "'opt' is not an option"),
        ({"options": ("",)}, "'' is not an option"),
        ({"options": ("--a --b",)}, "one at a time|is not an option"),
        ({"options": ("--a\n",)}, "is not an option"),
    ],
)
def test_invalid_options(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        spec(**changes)
    assert caught.value.hint


def test_name_with_a_digest() -> None:
    with pytest.raises(UsageError, match="contains a digest"):
        BuildSpec(Path(), ImageReference.parse(f"me/m@sha256:{'0' * 64}"))


def test_tag_leaves_room_for_the_suffix() -> None:
    assert BuildSpec(Path(), ImageReference.parse(f"me/m:{'a' * 122}")).devel_image.tag == f"{'a' * 122}-devel"
    with pytest.raises(UsageError, match="too long, because '-devel'"):
        BuildSpec(Path(), ImageReference.parse(f"me/m:{'a' * 123}"))
