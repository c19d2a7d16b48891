from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.models.url import Url, parse_source


@pytest.mark.parametrize("text", ["m", "./m.tar.gz", "/a b/m", "http:/one/slash", "C:\\m", "a://b"[:2]])
def test_paths(text: str) -> None:
    assert parse_source(text) == Path(text)


def test_shown_address_has_no_secrets() -> None:
    url = parse_source("https://ada:s3cret@host:8443/a/m.tgz?token=s3cret#s3cret")
    assert isinstance(url, Url)
    assert url.redacted == "https://host:8443/a/m.tgz"
    assert (url.scheme, url.model_name) == ("https", "m")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://h/a/resnet.tar.gz", "resnet"),
        ("https://h/ResNet.v1.TAR.GZ?x=y.zip", "ResNet.v1"),
        (
            "https://tfhub.dev/google/universal-sentence-encoder/4?tf-hub-format=compressed",
            "universal-sentence-encoder",
        ),
        ("https://www.kaggle.com/api/v1/models/google/mobilenet-v2/tensorFlow2/tiny/2/download", "tiny"),
        ("https://h/7", "7"),
        ("https://h/", ""),
        ("s3://bucket/models/resnet/", "resnet"),
        ("gs://bucket/models/resnet/3", "resnet"),
        ("gs://my-bucket", "my-bucket"),
    ],
)
def test_model_name(text: str, name: str) -> None:
    url = parse_source(text)
    assert isinstance(url, Url)
    assert url.model_name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://h/m.tgz", "ftp://"),
        ("hdfs://h/m", "hdfs://"),
        ("file:///m.tgz", "file://"),
        ("s3://", "not a path in a bucket"),
        ("s3:///m", "not a path in a bucket"),
        ("s3://KEY:s3cret@bucket/m", "not a path in a bucket"),
        ("gs://bucket/m?s3cret", "not a path in a bucket"),
        ("https:///m.tgz", "has no valid host"),
        ("https://h:port/m.tgz", "has no valid host"),
        ("https://[::1/m.tgz", "has no valid host"),
    ],
)
def test_refused_addresses(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert words in caught.value.message
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "secure"),
    [
        ("https://h/m.zip", True),
        ("http://127.0.0.1:1/m.zip", True),
        ("http://127.0.0.2/m.zip", True),
        ("http://localhost/m.zip", True),
        ("http://[::1]/m.zip", True),
        ("http://127.0.0.1.example/m.zip", False),
        ("http://127.0.0.1@example/m.zip", False),
        ("http://h/m.zip", False),
    ],
)
def test_secure_addresses(text: str, secure: bool) -> None:
    assert Url(text).is_secure is secure


@given(st.text(max_size=30))
def test_any_text(text: str) -> None:
    try:
        source = parse_source(f"https://{text}")
    except UsageError:
        return
    assert isinstance(source, Url)
    assert isinstance(source.model_name + source.redacted, str)
