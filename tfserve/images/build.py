"""Builds a serving image from source the whole way: look at the Dockerfiles, build the two images of the guide."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tfserve.engines.docker.config import offer_credentials
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image, made_image, refuse_taken_name
from tfserve.errors import ImageError, UsageError
from tfserve.images.build_spec import BuildSpec, BuildStep, build_steps, dockerfiles
from tfserve.images.docker_build import build_image
from tfserve.progress import Progress

__all__ = ["Built", "build"]

_GIT_SECONDS = 10.0


@dataclass(frozen=True)
class Built:
    """A serving image from source, and the two steps that it took."""

    image: Image
    steps: tuple[BuildStep, BuildStep]


def build(engine: DockerEngine, spec: BuildSpec, progress: Progress) -> Built:
    """Builds what `spec` asks for. A development image stays when the serving image fails: it took hours.

    Raises:
        UsageError: the source is none of TensorFlow Serving, or its Dockerfiles do not take what they would be told.
        NameTakenError: there is an image of that name, and it is not to be replaced.
        ImageError: a build failed.
    """
    client, source = engine.client, spec.source.expanduser().resolve()
    first, second = (_read(source, name) for name in dockerfiles(gpu=spec.gpu))
    commit = _commit(source)
    steps = build_steps(spec, (first, second), commit)
    if not spec.force:
        for name in (spec.image, spec.devel_image):
            refuse_taken_name(client, name)
    if commit in steps[0].arguments.values():
        progress.notice(f"Commit {commit} is built, as {steps[0].dockerfile} gets it from where it says.")
    offer_credentials(client, progress.notice)
    for number, step in enumerate(steps, 1):
        progress.notice(f"Building {step.image} from {step.dockerfile} ({number} of 2)")
        try:
            build_image(client, source, step, progress.notice)
        except ImageError as error:
            if number == 2:
                there = f"The development image is there: {spec.devel_image}; --force takes its name again."
                error.add_hint(f"\n{there}")
            raise
    return Built(made_image(client, spec.image), steps)


def _read(source: Path, name: str) -> str:
    try:
        return (source / name).read_text(errors="replace")
    except FileNotFoundError:
        raise UsageError(
            f"{str(source)!r} holds no sources of TensorFlow Serving: there is no {name}.",
            hint="Get them: git clone https://github.com/tensorflow/serving && tfserve build --source serving …",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{str(source / name)!r} cannot be read: {error.strerror}.", hint="Read permission is needed on it."
        ) from None


def _commit(source: Path) -> str | None:
    """The commit that is checked out at `source`; None when it is no checkout, or git does not say."""
    if not (source / ".git").exists():
        return None
    command = ["git", "-C", str(source), "rev-parse", "HEAD"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() if said.returncode == 0 else None
