"""Facts about credentials: what a server needs to read models from buckets, as this user's environment has it.

Their values go to the server's process and nowhere else: to no label, no file, no log, and no line that is printed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tfserve.addresses import is_loopback
from tfserve.errors import UsageError
from tfserve.models.url import Url

__all__ = ["SECRET_VARIABLES", "BucketCredentials", "find_bucket_credentials"]

# What the S3 file system of TensorFlow and the AWS SDK below it read.
SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "S3_ENDPOINT",
    "S3_REGION",
    "S3_USE_HTTPS",
    "S3_VERIFY_SSL",
    "S3_CONNECT_TIMEOUT_MSEC",
    "S3_REQUEST_TIMEOUT_MSEC",
)
GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
_KEYS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "region": "AWS_REGION",
}


@dataclass(frozen=True)
class BucketCredentials:
    """What a server in a container gets.

    Attributes:
        variables: variables with their values, which are secrets.
        files: files of this machine by the variables that name them.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)


def find_bucket_credentials(
    sources: Iterable[Path | Url], environment: Mapping[str, str] | None = None
) -> BucketCredentials:
    """Finds what a server needs to read those of `sources` that are in buckets.

    For ``s3://`` that are the variables of the environment, or else the keys and the region of the profile that
    ``AWS_PROFILE`` names, or ``default``; for ``gs://`` the file that ``GOOGLE_APPLICATION_CREDENTIALS`` names, or else
    the one of ``gcloud auth application-default login``. Where there are none, a bucket may still be public.

    Args:
        sources: where its models are.
        environment: where to look; None for this process's own.

    Raises:
        UsageError: a profile or a file that is named is not there, or of no use.
    """
    variables = os.environ if environment is None else environment
    schemes = {source.scheme for source in sources if isinstance(source, Url)}
    found: dict[str, str] = {}
    if "s3" in schemes:
        found = {name: variables[name] for name in SECRET_VARIABLES if variables.get(name)}
        if "AWS_ACCESS_KEY_ID" not in found:
            found = {**_profile(variables), **found}
        _check_endpoint(found.get("S3_ENDPOINT", ""))
    file = _google_file(variables) if "gs" in schemes else None
    return BucketCredentials(found, {GOOGLE: file} if file else {})


def _profile(variables: Mapping[str, str]) -> dict[str, str]:
    """Reads the files of the AWS command line; https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html."""
    name = variables.get("AWS_PROFILE") or "default"
    credentials = _read(variables.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    config = _read(variables.get("AWS_CONFIG_FILE") or "~/.aws/config")
    titled = name if name == "default" else f"profile {name}"
    given = {**config.get(titled, {}), **credentials.get(name, {})}
    if not given and name != "default":
        raise UsageError(
            f"AWS_PROFILE names the profile {name!r}, which is not there.",
            hint="See which there are: aws configure list-profiles",
        )
    found = {variable: given[key] for key, variable in _KEYS.items() if given.get(key)}
    if "AWS_ACCESS_KEY_ID" not in found and (name != "default" or {"sso_session", "role_arn"} & given.keys()):
        raise UsageError(
            f"The AWS profile {name!r} holds no keys, but says how to get some, which tfserve does not do.",
            hint="Get them first: "
            + f'eval "$(aws configure export-credentials --format env --profile {shlex.quote(name)})"',
        )
    return found


def _read(path: str) -> dict[str, dict[str, str]]:
    import configparser

    file = Path(os.path.expanduser(path))  # noqa: PTH111 - Path would raise where there is no home
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error):  # whose text may hold a secret
        raise UsageError(
            f"The AWS configuration {str(file)!r} cannot be read.", hint="Check it: aws configure list"
        ) from None
    return {title: dict(parser[title]) for title in parser.sections()}


def _check_endpoint(endpoint: str) -> None:
    try:
        host = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname
    except ValueError:
        raise UsageError("S3_ENDPOINT is no address.", hint="Write it as http://HOST:PORT.") from None
    if is_loopback(host or ""):
        raise UsageError(
            f"S3_ENDPOINT is on {host}, which in a container is the container itself.",
            hint="Name an address of this machine that containers reach, such as http://172.17.0.1:9000.",
        )


def _google_file(variables: Mapping[str, str]) -> Path | None:
    named = variables.get(GOOGLE)
    gcloud = variables.get("CLOUDSDK_CONFIG") or "~/.config/gcloud"
    path = named or f"{gcloud}/application_default_credentials.json"
    file = Path(os.path.expanduser(path)).resolve()  # noqa: PTH111 - Path would raise where there is no home
    if file.is_file() and os.access(file, os.R_OK):
        return file
    if named:
        raise UsageError(f"{GOOGLE} names {named!r}, which is no file that can be read.", hint="Name a key file.")
    return None
