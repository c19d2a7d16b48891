"""Which versions of a model are served, and their labels: TensorFlow Serving's version policies.

Source: https://www.tensorflow.org/tfx/serving/serving_config#serving_a_specific_version_of_a_model
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfserve.errors import Attribute, UsageError, Wording

__all__ = ["VersionPolicy", "check_labels", "check_versions", "parse_label"]

_NUMBER = r"[0-9]{1,19}"
_POLICY = re.compile(rf"latest(?:=(?P<latest>[0-9]{{1,9}}))?|(?P<all>all)|(?P<specific>{_NUMBER}(,{_NUMBER})*)")
_LABEL = re.compile(rf"(?P<label>[A-Za-z0-9][A-Za-z0-9_.-]{{0,127}})=(?P<version>{_NUMBER})?")
_VERSION_LIMIT = 2**63


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions under a base path to serve.

    Attributes:
        latest: how many of the newest versions to serve; None for all versions.
        specific: the numbers of the versions to serve, in ascending order; empty to serve the `latest`.
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """Parses ``latest``, ``latest=N``, ``all``, or version numbers separated by commas.

        Raises:
            UsageError: `text` has another form.
        """
        match = _POLICY.fullmatch(text)
        specific = tuple(sorted({int(word) for word in (match["specific"] or "").split(",") if word})) if match else ()
        latest = int(match["latest"] or 1) if match else 0
        if match is None or latest == 0 or any(version >= _VERSION_LIMIT for version in specific):
            raise UsageError(
                f"{text[:80]!r} is not a valid choice of versions.",
                hint="Use latest, latest=2 for the two newest, all, or version numbers: 1,3",
            )
        return cls(None if match["all"] else latest, specific)

    def __str__(self) -> str:
        if self.specific:
            return ",".join(map(str, self.specific))
        return {None: "all", 1: "latest"}.get(self.latest, f"latest={self.latest}")

    def served(self, versions: Sequence[int]) -> tuple[int, ...]:
        """Returns those of `versions`, which are in ascending order, that are served."""
        if self.specific:
            return tuple(version for version in versions if version in self.specific)
        return tuple(versions if self.latest is None else versions[-self.latest :])


def parse_label(text: str) -> tuple[str, int | None]:
    """Parses ``LABEL=VERSION``, or ``LABEL=`` to remove a label.

    Raises:
        UsageError: `text` is neither.
    """
    match = _LABEL.fullmatch(text)
    version = int(match["version"]) if match and match["version"] else None
    if match is None or (version or 0) >= _VERSION_LIMIT:
        raise UsageError(f"{text[:80]!r} is not a label of a version.", hint="Write it as LABEL=VERSION: canary=2")
    return match["label"], version


def check_versions(
    model: str, policy: VersionPolicy, labels: Mapping[str, int], available: Sequence[int]
) -> tuple[int, ...]:
    """Returns those of the `available` versions that a model serves.

    Raises:
        UsageError: a version that was requested by number is not available, or a version with a label is not served.
    """
    if missing := sorted(set(policy.specific).difference(available)):
        raise UsageError(
            f"The model {model!r} has no version {missing[0]}; it has {', '.join(map(str, available)) or 'none'}.",
            hint="Choose other versions: latest, all, or version numbers.",
            about=("versions",),
        )
    served = policy.served(available)
    check_labels(model, labels, served)
    return served


def check_labels(model: str, labels: Mapping[str, int], served: Sequence[int]) -> None:
    """Refuses labels of versions that are not served, because requests that use such a label would fail.

    Raises:
        UsageError: a version with a label is not served.
    """
    for label, version in labels.items():
        if version not in served:
            listed = ", ".join(map(str, served)) or "none"
            raise UsageError(
                f"The label {label!r} of the model {model!r} is for version {version}, which is not served; "
                f"served versions: {listed}.",
                hint=Wording(
                    "Serve that version too, for example with {all_versions}, or move the label.",
                    all_versions=Attribute("versions", "all"),
                ),
                about=("labels", label),
            )
