"""The names of container images, and what is known in advance about the official ones: ports, paths, platform."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tfserve.errors import UsageError, Wording

__all__ = [
    "GRPC_PORT",
    "HUB",
    "HUB_HOST",
    "MODEL_ROOT",
    "OFFICIAL_PLATFORM",
    "OFFICIAL_REPOSITORY",
    "REST_PORT",
    "SOURCE_ROOT",
    "ImageReference",
    "check_new_name",
    "is_tag",
    "platform_of",
    "runs_natively",
]

HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"  # the host of its API
OFFICIAL_REPOSITORY = "tensorflow/serving"
OFFICIAL_PLATFORM = "linux/amd64"  # no other platform exists: https://hub.docker.com/r/tensorflow/serving/tags
GRPC_PORT = 8500
REST_PORT = 8501
SOURCE_ROOT = "/tensorflow-serving"  # TensorFlow Serving's sources in the development images
MODEL_ROOT = "/models"  # MODEL_BASE_PATH of the official images
CONFIG_ROOT = "/etc/tfserve"  # the directory in a container for the text files that flags name

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_ALSO_NATIVE = {"linux/amd64": "linux/386", "linux/arm64": "linux/arm"}

# https://pkg.go.dev/github.com/distribution/reference
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG_PATTERN = r"\w[\w.-]{0,127}"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?)"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    rf"(?::(?P<tag>{_TAG_PATTERN}))?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_LONGEST_REPOSITORY = 255  # including its registry, without its tag
_LONGEST_TAG = 128
_LOOKS_LIKE_DIGEST = re.compile(r"sha256|[0-9a-f]{64}")
_TAG = re.compile(_TAG_PATTERN, re.ASCII)


@dataclass(frozen=True)
class ImageReference:
    """The name of an image: ``repository:tag``, or ``repository@sha256:…``."""

    repository: str
    tag: str | None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str | None = None, tag: str | None = None) -> ImageReference:
        """Reads the name of an image.

        Args:
            text: a repository, with or without a tag or digest; None for ``tensorflow/serving``.
            tag: the tag; None for the tag in `text`, or ``latest``.

        Raises:
            UsageError: `text` or `tag` is not a name that Docker accepts, or both contain a tag or digest.
        """
        match = _REFERENCE.fullmatch(OFFICIAL_REPOSITORY if text is None else text)
        if match is None:
            raise UsageError(
                f"{text!r} is not the name of an image.",
                hint="Write it as tensorflow/serving:2.19.0.",
                about=("image",),
            )
        if tag is not None and not is_tag(tag):
            raise UsageError(
                f"{tag!r} is not a tag.",
                hint="A tag consists of letters, digits, '_', '.' and '-', such as 2.19.0.",
                about=("tag",),
            )
        repository, own_tag, digest = match.group("repository", "tag", "digest")
        length = len(cls(repository, None).qualified)
        if length > _LONGEST_REPOSITORY:
            raise UsageError(
                f"The name of an image can have at most {_LONGEST_REPOSITORY} characters; this one has {length}.",
                hint="Choose a shorter name.",
                about=("image",),
            )
        if tag is not None and (own_tag or digest):
            raise UsageError(
                f"{text!r} already includes a tag or digest.",
                hint=Wording("Leave {tag} out, or give the image without a tag."),
                about=("tag",),
            )
        return cls(repository, own_tag or tag or (None if digest else "latest"), digest)

    def official_variant(self, *, gpu: bool = False, devel: bool = False) -> ImageReference:
        """Returns the CUDA or development variant of an official image: ``T-gpu``, ``T-devel`` for a tag ``T``.

        Other images, and images named by digest, have no such variants and are returned unchanged.
        """
        if not self.is_official or self.tag is None or self.digest:
            return self
        wanted = (["devel"] if devel else []) + (["gpu"] if gpu else [])
        missing = [part for part in wanted if part not in self.tag.split("-")]
        return replace(self, tag="-".join([self.tag, *missing]))

    def __str__(self) -> str:
        return f"{self.repository}{f':{self.tag}' if self.tag else ''}{self.digest or ''}"

    @property
    def default_name(self) -> str:
        """The name of a server of this image unless it is given another: the last part of the repository."""
        return self.path.rpartition("/")[2]

    @property
    def registry(self) -> str:
        """The registry of the image, as ``host`` or ``host:port``."""
        return self._registry_and_path[0]

    @property
    def path(self) -> str:
        """The name of the repository in that registry."""
        return self._registry_and_path[1]

    @property
    def _registry_and_path(self) -> tuple[str, str]:
        first, slash, rest = self.repository.partition("/")
        # Docker distinguishes a host from a user of Docker Hub by the same rule.
        if slash and (first == "localhost" or any(sign in first for sign in ".:") or first != first.lower()):
            registry, path = first, rest
        else:
            registry, path = HUB, self.repository
        return registry, f"library/{path}" if registry == HUB and "/" not in path else path

    @property
    def qualified(self) -> str:
        """The full name, including the registry that Docker uses by default."""
        return str(ImageReference(f"{self.registry}/{self.path}", self.tag, self.digest))

    @property
    def is_official(self) -> bool:
        """Whether this is one of TensorFlow's own images."""
        return self._registry_and_path == (HUB, OFFICIAL_REPOSITORY)


def check_new_name(reference: ImageReference, suffix: str = "") -> None:
    """Checks that a new image can have this name.

    Args:
        reference: the name.
        suffix: a suffix that will be added to the tag.

    Raises:
        UsageError: the name contains or looks like a digest, or the tag with `suffix` is too long.
    """
    if reference.digest:
        raise UsageError(
            f"{str(reference)!r} contains a digest, but the digest of a new image depends on its content.",
            hint="Give a name without a digest: --image REPO:TAG",
        )
    if _LOOKS_LIKE_DIGEST.fullmatch(reference.repository):
        raise UsageError(
            f"{str(reference)!r} looks like a digest, so Docker does not accept it as a name.",
            hint="Choose another name: --image REPO:TAG",
        )
    if len(f"{reference.tag}{suffix}") > _LONGEST_TAG:
        raise UsageError(
            f"The tag of the image is too long, because {suffix!r} is added to it.",
            hint=f"Choose a tag of at most {_LONGEST_TAG - len(suffix)} characters.",
        )


def platform_of(machine: str) -> str:
    """Returns the image platform for the kernel's name of a CPU: ``linux/arm64`` for ``aarch64``."""
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


def runs_natively(platform: str, engine: str) -> bool:
    """Whether an engine with the platform `engine` runs images for `platform`, such as ``linux/arm64/v8``, natively."""
    wanted = "/".join(platform.split("/")[:2])  # without the variant
    return wanted in (engine, _ALSO_NATIVE.get(engine))


def is_tag(text: str) -> bool:
    """Whether `text` is a valid tag."""
    return _TAG.fullmatch(text) is not None
