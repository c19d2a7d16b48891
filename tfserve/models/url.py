"""The location of a model as the user writes it: a path on this machine, or an address."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from tfserve.addresses import is_this_machine
from tfserve.errors import UsageError

__all__ = ["ARCHIVE_SUFFIXES", "Url", "check_digest", "is_archive", "parse_source", "stem"]

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"(s3|gs)://[A-Za-z0-9][A-Za-z0-9._-]+(/[^?#]*)?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ANONYMOUS = "download"  # the name of every archive on Kaggle


class Url(str):
    """The address of an archive (``https://host/my_model.tar.gz``), or of a base path in a bucket (``s3://bucket/my_model``).

    It may contain a password or a token; `redacted` does not.

    Attributes:
        written: the address as a file has it, with variables that are not resolved: ``https://$HOST/my_model.tar.gz``.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, text: str, written: str | None = None) -> Url:
        """Creates an address from its text, and from how it was written if that differs."""
        url = super().__new__(cls, text)
        url.written = text if written is None else written
        return url

    @property
    def shown(self) -> str:
        """The address for display as it was written: without user, password, query, and the values of variables."""
        try:
            return Url(self.written).redacted
        except ValueError:  # a variable with a bracket
            return f"{self.scheme}://…"

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``s3`` or ``gs``."""
        return urlsplit(self).scheme

    @property
    def in_bucket(self) -> bool:
        """Whether this is a base path in a bucket, which only the server itself reads."""
        return self.scheme in ("s3", "gs")

    @property
    def redacted(self) -> str:
        """The address for display, without user, password, query and fragment."""
        parts = urlsplit(self)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted or does not leave this machine, so that the network cannot alter it."""
        return self.scheme != "http" or is_this_machine(urlsplit(self).hostname or "")

    @property
    def model_name(self) -> str:
        """The last part of the path that is not a version: ``my_model`` in ``https://host/my_model/3/download``."""
        parts = urlsplit(self)
        words = [word for word in (parts.netloc * self.in_bucket, *parts.path.split("/")) if word]
        while len(words) > 1 and (words[-1].isdigit() or words[-1] == _ANONYMOUS):
            words.pop()
        return stem(words[-1]) if words else ""


def parse_source(text: str, written: str | None = None) -> Path | Url:
    """Parses the location of a model; `written` is the text with variables that are not resolved, if it has any.

    Raises:
        UsageError: `text` is empty, or an address that tfserve does not support.
    """
    if not text:  # Path("") would be the current directory
        raise UsageError(
            "The path of the model is empty.", hint="Give its directory, such as ./my_model, or . for this one."
        )
    scheme = _SCHEME.match(text)
    if scheme is None:
        return Path(text)
    if scheme[1] in ("s3", "gs"):
        if _BUCKET.fullmatch(text):
            return Url(text.rstrip("/"), written)
        raise UsageError(
            "The address of the model is not a path in a bucket.",
            hint=f"Write it as {scheme[1]}://bucket/my_model. Credentials are read from the environment.",
        )
    if scheme[1] not in ("http", "https"):
        raise UsageError(
            f"tfserve cannot read models from {scheme[1]}:// addresses.",
            hint="Give a directory, an archive (.tar.gz, .tgz, .tar, .zip), an https:// address of one, or a base path "
            "in a bucket (s3://, gs://).",
        )
    try:
        parts = urlsplit(text)
        if parts.hostname and (parts.port is None or parts.port):
            return Url(text, written)
    except ValueError:  # an invalid port, or a bracket that is not closed
        pass
    raise UsageError("The address of the model has no valid host.", hint="Write it as https://host/my_model.tar.gz")


def check_digest(text: str) -> None:
    """Checks that `text` is a SHA-256 digest.

    Raises:
        UsageError: it does not consist of 64 hexadecimal digits.
    """
    if not _SHA256.fullmatch(text):
        raise UsageError(
            f"{text[:80]!r} is not a SHA-256 digest.",
            hint="A digest has 64 hexadecimal digits; print it with: sha256sum FILE",
            about=("sha256",),
        )


def is_archive(path: Path) -> bool:
    """Whether `path` has the suffix of an archive that tfserve can unpack."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def stem(name: str) -> str:
    """Returns the name of an archive without its suffix."""
    for suffix in ARCHIVE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return PurePosixPath(name).name
