from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.images.kinds import kind_of, newest_first
from tfserve.spec.image import ImageReference, check_new_name, platform_of, runs_natively

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "tag", "gpu", "devel", "name"),
    [
        (None, None, False, False, "tensorflow/serving:latest"),
        (None, None, True, False, "tensorflow/serving:latest-gpu"),
        (None, None, False, True, "tensorflow/serving:latest-devel"),
        (None, None, True, True, "tensorflow/serving:latest-devel-gpu"),
        (None, "2.19.1", True, False, "tensorflow/serving:2.19.1-gpu"),
        (None, "2.19.1-gpu", True, False, "tensorflow/serving:2.19.1-gpu"),
        ("tensorflow/serving:2.18.0", None, False, False, "tensorflow/serving:2.18.0"),
        ("docker.io/tensorflow/serving", None, True, False, "docker.io/tensorflow/serving:latest-gpu"),
        ("my/serving", None, True, True, "my/serving:latest"),
        ("localhost:5000/my/serving", "1", False, False, "localhost:5000/my/serving:1"),
        (f"tensorflow/serving{DIGEST}", None, True, False, f"tensorflow/serving{DIGEST}"),
        (f"tensorflow/serving:1{DIGEST}", None, False, False, f"tensorflow/serving:1{DIGEST}"),
    ],
)
def test_parse_and_official_variant(image: str | None, tag: str | None, gpu: bool, devel: bool, name: str) -> None:
    assert str(ImageReference.parse(image, tag).official_variant(gpu=gpu, devel=devel)) == name


@pytest.mark.parametrize(
    "image", ["", " ", "Upper/Case", "a b", "a//b", "a:", ":a", "a:b:c", "a@sha256:0", "-a", "a$(id)", "ä", "a\n"]
)
def test_invalid_names(image: str) -> None:
    with pytest.raises(UsageError, match="is not the name of an image") as caught:
        ImageReference.parse(image)
    assert caught.value.hint


def test_name_that_is_too_long() -> None:
    assert ImageReference.parse(f"me/{'a' * 242}").registry == "docker.io"
    with pytest.raises(UsageError, match="at most 255 characters; this one has 256"):
        ImageReference.parse(f"me/{'a' * 243}:1")


@pytest.mark.parametrize("image", ["sha256:1", "sha256", "0123456789abcdef" * 4, f"a{DIGEST}"])
def test_new_name_like_a_digest(image: str) -> None:
    with pytest.raises(UsageError, match="digest") as caught:
        check_new_name(ImageReference.parse(image))
    assert caught.value.hint


@pytest.mark.parametrize("tag", ["", "-a", ".a", "a b", "a/b", "ä", "a" * 129, "1\n"])
def test_invalid_tags(tag: str) -> None:
    with pytest.raises(UsageError, match="is not a tag"):
        ImageReference.parse(None, tag)


@pytest.mark.parametrize("image", ["a:1", f"a{DIGEST}"])
def test_two_tags(image: str) -> None:
    with pytest.raises(UsageError, match="already includes a tag or digest"):
        ImageReference.parse(image, "2")


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except UsageError:
        return
    assert str(reference) in (text, f"{text}:latest")


@pytest.mark.parametrize(
    ("machine", "platform", "natively"),
    [
        ("x86_64", "linux/amd64", True),
        ("x86_64", "linux/386", True),
        ("x86_64", "linux/arm64", False),
        ("aarch64", "linux/arm64/v8", True),
        ("aarch64", "linux/arm/v7", True),
        ("aarch64", "linux/amd64", False),
        ("s390x", "linux/s390x", True),
    ],
)
def test_platforms(machine: str, platform: str, natively: bool) -> None:
    assert runs_natively(platform, platform_of(machine)) is natively


@pytest.mark.parametrize(
    ("image", "registry", "path", "qualified"),
    [
        ("m", "docker.io", "library/m", "docker.io/library/m:latest"),
        ("me/m:1", "docker.io", "me/m", "docker.io/me/m:1"),
        ("docker.io/me/m", "docker.io", "me/m", "docker.io/me/m:latest"),
        ("localhost/m", "localhost", "m", "localhost/m:latest"),
        ("localhost:5000/a/b/c:1", "localhost:5000", "a/b/c", "localhost:5000/a/b/c:1"),
        ("gcr.io/me/m", "gcr.io", "me/m", "gcr.io/me/m:latest"),
        ("Host/m", "Host", "m", "Host/m:latest"),
    ],
)
def test_registry_and_path(image: str, registry: str, path: str, qualified: str) -> None:
    reference = ImageReference.parse(image)
    assert (reference.registry, reference.path, reference.qualified) == (registry, path, qualified)
    assert reference.default_name == path.split("/")[-1]


@pytest.mark.parametrize(
    ("image", "labels", "kind"),
    [
        ("tensorflow/serving", {}, "serving"),
        ("mirror.example/tensorflow/serving:2.19.1-gpu", {}, "serving-gpu"),
        ("tensorflow/serving:latest-devel", {}, "devel"),
        ("tensorflow/serving:2.19.1-devel-gpu", {}, "devel-gpu"),
        ("me/m", {}, None),
        ("me/devel", {"tensorflow_serving_github_commit": "abc"}, "serving"),
        ("me/m:1-devel", {"tensorflow_serving_github_commit": "abc"}, "devel"),
        ("me/m:1-gpu", {"tfserve.packaged": "{}"}, "packaged"),
        ("me/m:1", {"tfserve.built": "devel-gpu"}, "devel-gpu"),
        ("me/m:1", {"tfserve.built": "unknown"}, None),
    ],
)
def test_kind(image: str, labels: dict[str, str], kind: str | None) -> None:
    assert kind_of(ImageReference.parse(image), labels) == kind


@pytest.mark.parametrize(
    ("entrypoint", "model", "kind"),
    [
        (["/usr/bin/tf_serving_entrypoint.sh"], "model", "serving"),
        (["/bin/sh", "-c", "/usr/bin/tf_serving_entrypoint.sh"], "mine", "packaged"),
        (["/bin/server"], "mine", None),
    ],
)
def test_kind_by_entrypoint(entrypoint: list[str], model: str, kind: str | None) -> None:
    assert kind_of(ImageReference.parse("me/m:1"), {}, entrypoint, {"MODEL_NAME": model}) == kind


def test_newest_tags_come_first() -> None:
    ordered = ["latest", "latest-gpu", "2.19.1", "2.19.1-gpu", "2.19.0", "2.19.0-rc0", "2.9.0", "2.9", "2", "1.12.3"]
    ordered += ["2x", "nightly", "nightly-devel"]
    assert newest_first(reversed(ordered)) == ordered


@given(st.lists(st.text()))
def test_sorting_any_tags(tags: list[str]) -> None:
    assert sorted(newest_first(tags)) == sorted(tags)
