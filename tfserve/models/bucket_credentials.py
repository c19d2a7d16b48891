"""The credentials in the user's environment that a server needs to read models from buckets.

Their values are passed to the server's process only; they never appear in labels, files, logs or output.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tfserve.addresses import is_this_machine
from tfserve.errors import UsageError
from tfserve.models.url import Url
from tfserve.text import shell_quoted

__all__ = ["SECRET_VARIABLES", "BucketCredentials", "find_bucket_credentials"]

# The variables that TensorFlow's S3 file system and the AWS SDK read.
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
    """The credentials for a server in a container.

    Attributes:
        variables: environment variables with their secret values.
        files: files on this machine, by the environment variables that name them.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)


def find_bucket_credentials(
    sources: Iterable[Path | Url], environment: Mapping[str, str] | None = None
) -> BucketCredentials:
    """Finds the credentials for those `sources` that are in buckets.

    For ``s3://``, these are the variables in the environment, or else the keys and region of the profile in
    ``AWS_PROFILE`` (by default ``default``); for ``gs://``, the file in ``GOOGLE_APPLICATION_CREDENTIALS``, or else the
    file that ``gcloud auth application-default login`` creates. Without credentials, a bucket can still be public.

    Args:
        sources: the locations of the models.
        environment: the environment variables; None for those of this process.

    Raises:
        UsageError: the profile or file that a variable names does not exist or cannot be used.
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
    """Reads the configuration files of the AWS command line; https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html."""
    name = variables.get("AWS_PROFILE") or "default"
    credentials = _read(variables.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    config = _read(variables.get("AWS_CONFIG_FILE") or "~/.aws/config")
    titled = name if name == "default" else f"profile {name}"
    given = {**config.get(titled, {}), **credentials.get(name, {})}
    if not given and name != "default":
        raise UsageError(
            f"The profile {name!r} in AWS_PROFILE does not exist.",
            hint="List the profiles: aws configure list-profiles",
        )
    found = {variable: given[key] for key, variable in _KEYS.items() if given.get(key)}
    if "AWS_ACCESS_KEY_ID" not in found and (name != "default" or {"sso_session", "role_arn"} & given.keys()):
        raise UsageError(
            f"The AWS profile {name!r} contains no keys; tfserve does not support other ways to log in.",
            hint="Export temporary keys first: "
            + f'eval "$(aws configure export-credentials --format env --profile {shell_quoted(name)})"',
        )
    return found


def _read(path: str) -> dict[str, dict[str, str]]:
    import configparser

    file = Path(os.path.expanduser(path))  # noqa: PTH111 - Path would raise without a home directory
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error):  # the message may contain a secret
        raise UsageError(
            f"The AWS configuration {str(file)!r} cannot be read.", hint="Check it: aws configure list"
        ) from None
    return {title: dict(parser[title]) for title in parser.sections()}


def _check_endpoint(endpoint: str) -> None:
    try:
        host = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname
    except ValueError:
        raise UsageError("S3_ENDPOINT is not a valid address.", hint="Write it as http://HOST:PORT.") from None
    if is_this_machine(host or ""):
        raise UsageError(
            f"S3_ENDPOINT is on {host}, which is the container itself when used in a container.",
            hint="Use an address of this machine that containers can reach, such as http://172.17.0.1:9000.",
        )


def _google_file(variables: Mapping[str, str]) -> Path | None:
    named = variables.get(GOOGLE)
    gcloud = variables.get("CLOUDSDK_CONFIG") or "~/.config/gcloud"
    path = named or f"{gcloud}/application_default_credentials.json"
    file = Path(os.path.expanduser(path)).resolve()  # noqa: PTH111 - Path would raise without a home directory
    if file.is_file() and os.access(file, os.R_OK):
        return file
    if named:
        raise UsageError(f"The file {named!r} in {GOOGLE} cannot be read.", hint="Give the path of a key file.")
    return None
