from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfserve.errors import UsageError
from tfserve.models.bucket_credentials import BucketCredentials, find_bucket_credentials
from tfserve.models.url import Url

S3, GS = Url("s3://bucket/m"), Url("gs://bucket/m")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cret"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with configuration files of the AWS command line."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = D\naws_secret_access_key = d%cret\n"
        "[work]\naws_access_key_id=W\naws_secret_access_key=w\naws_session_token=t\n"
    )
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile work]\nregion = us-east-2\ns3 =\n  max_queue_size = 1\n"
        "[profile sso]\nsso_session = x\nregion = us-east-2\n"
        "[profile $(id)]\nrole_arn = x\n"
    )
    return tmp_path


def refusal(source: Url, environment: dict[str, str]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        find_bucket_credentials([source], environment)
    assert caught.value.hint
    return caught.value


def test_only_for_buckets() -> None:
    assert (
        find_bucket_credentials([Path("m"), Url("https://h/m.zip")], {**KEYS, "AWS_PROFILE": "none"})
        == BucketCredentials()
    )
    assert find_bucket_credentials([GS], KEYS) == BucketCredentials()


def test_environment_takes_precedence() -> None:
    given = {**KEYS, "AWS_REGION": "eu-north-1", "S3_ENDPOINT": "http://10.0.0.1:9000", "AWS_PROFILE": "work", "X": "y"}
    expected = {name: value for name, value in given.items() if name not in ("X", "AWS_PROFILE")}
    assert find_bucket_credentials([S3, Path("m")], given).variables == expected


def test_profiles() -> None:
    default = {"AWS_ACCESS_KEY_ID": "D", "AWS_SECRET_ACCESS_KEY": "d%cret", "AWS_REGION": "eu-west-1"}
    assert find_bucket_credentials([S3], {}).variables == default
    assert find_bucket_credentials([S3], {"AWS_PROFILE": "work", "AWS_REGION": "x"}).variables == {
        "AWS_ACCESS_KEY_ID": "W",
        "AWS_SECRET_ACCESS_KEY": "w",
        "AWS_SESSION_TOKEN": "t",
        "AWS_REGION": "x",
    }


def test_other_files(home: Path) -> None:
    (home / "mine").write_text("[default]\naws_access_key_id=M\n")
    elsewhere = {"AWS_SHARED_CREDENTIALS_FILE": "~/mine", "AWS_CONFIG_FILE": str(home / "none")}
    assert find_bucket_credentials([S3], elsewhere).variables == {"AWS_ACCESS_KEY_ID": "M"}
    assert find_bucket_credentials([S3], {**elsewhere, "AWS_SHARED_CREDENTIALS_FILE": "none"}) == BucketCredentials()


def test_unusable_profiles(home: Path) -> None:
    assert "profile 'nope' in AWS_PROFILE does not exist" in refusal(S3, {"AWS_PROFILE": "nope"}).message
    error = refusal(S3, {"AWS_PROFILE": "sso"})
    assert "contains no keys" in error.message
    assert "aws configure export-credentials --format env --profile sso" in str(error.hint)
    assert "--profile '$(id)'" in str(refusal(S3, {"AWS_PROFILE": "$(id)"}).hint)
    assert "S3_ENDPOINT is not a valid address" in refusal(S3, {**KEYS, "S3_ENDPOINT": "http://[s3cret"}).message
    for damaged in (b"aws_secret_access_key = s3cret\n", b"\xff\xfes3cret", b"[default\ns3cret"):
        (home / ".aws" / "credentials").write_bytes(damaged)
        error = refusal(S3, {})
        assert "cannot be read" in error.message
        assert "s3cret" not in f"{error}{error.hint}"
        assert error.__suppress_context__


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9000", "http://127.0.0.2:9000", "localhost:9000", "https://[::1]/"]
)
def test_endpoint_on_loopback(endpoint: str) -> None:
    assert "the container itself" in refusal(S3, {**KEYS, "S3_ENDPOINT": endpoint}).message


def test_google_files(home: Path) -> None:
    assert find_bucket_credentials([GS], {}) == BucketCredentials()
    gcloud = home / ".config" / "gcloud" / "application_default_credentials.json"
    gcloud.parent.mkdir(parents=True)
    gcloud.write_text("{}")
    assert find_bucket_credentials([GS], {}).files == {"GOOGLE_APPLICATION_CREDENTIALS": gcloud}
    (home / "key.json").write_text("{}")
    named = {"GOOGLE_APPLICATION_CREDENTIALS": os.path.relpath(home / "key.json")}
    assert find_bucket_credentials([GS], named).files == {"GOOGLE_APPLICATION_CREDENTIALS": home / "key.json"}
    error = refusal(GS, {"GOOGLE_APPLICATION_CREDENTIALS": str(home / "none.json")})
    assert "none.json" in error.message


def test_repr_has_no_secrets() -> None:
    found = find_bucket_credentials([S3], KEYS)
    assert found.variables["AWS_SECRET_ACCESS_KEY"] == "s3cret"
    assert "s3cret" not in repr(found)
