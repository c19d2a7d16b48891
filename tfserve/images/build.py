"""Builds a serving image from source: reads the Dockerfiles, then builds the two images of the guide."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tfserve.engines.docker.config import offer_credentials
from tfserve.engines.docker.engine import DockerEngine
from tfserve.engines.docker.images import Image, made_image, refuse_taken_name
from tfserve.errors import ImageError, UsageError
from tfserve.host.files import read_bounded
from tfserve.host.search_paths import NEUTRAL_DIRECTORY, safe_environment
from tfserve.images.build_spec import BuildSpec, BuildStep, build_steps, dockerfiles
from tfserve.images.docker_build import build_image
from tfserve.progress import Progress
from tfserve.text import quoted_line

__all__ = ["build"]

_GIT_SECONDS = 10.0
_MAX_DOCKERFILE_BYTES = 2**20


def build(engine: DockerEngine, spec: BuildSpec, progress: Progress) -> tuple[Image, tuple[BuildStep, BuildStep]]:
    """Builds the images for `spec`. The development image takes hours, so it is kept if the serving image fails.

    Returns:
        The serving image, and the two steps of the build.

    Raises:
        UsageError: the source is not TensorFlow Serving, or its Dockerfiles do not accept the arguments.
        NameTakenError: the name is in use by another image, which must not be replaced.
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
        progress.notice(f"{steps[0].dockerfile} downloads the sources of commit {commit}.")
    offer_credentials(client, progress.notice)
    for number, step in enumerate(steps, 1):
        progress.notice(f"Building {step.image} from {step.dockerfile} ({number} of 2)")
        try:
            build_image(client, source, step, lambda line: progress.notice(quoted_line(line)))
        except ImageError as error:
            if number == 2:
                error.add_hint(f"\nThe development image was built: {spec.devel_image}. To build it again: --force")
            raise
    return made_image(client, spec.image), steps


def _read(source: Path, name: str) -> str:
    if not (source / name).exists():
        raise UsageError(
            f"{str(source)!r} does not contain the sources of TensorFlow Serving: {name} was not found.",
            hint="Download them: git clone https://github.com/tensorflow/serving && tfserve build --source serving …",
        )
    content = read_bounded(
        source / name,
        _MAX_DOCKERFILE_BYTES,
        what=repr(str(source / name)),
        hint="Check that it is a Dockerfile, and that you have read permission on it.",
        regular=True,
    )
    return content.decode(errors="replace")


def _commit(source: Path) -> str | None:
    """Returns the commit that is checked out at `source`; None if it is not a checkout, or git fails."""
    if not (source / ".git").exists():
        return None
    command = ["git", "-C", str(source), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=NEUTRAL_DIRECTORY,
            env=safe_environment(os.environ),
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
