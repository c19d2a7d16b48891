"""Finds secrets of the environment that are part of an address, because its host receives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tfserve.config.interpolation import variables_in
from tfserve.models.url import Url
from tfserve.plan.secrets import is_secret

if TYPE_CHECKING:
    from tfserve.config.read import ConfiguredServer

__all__ = ["sent_secrets"]

_MIN_IN_IMAGE = 6  # a shorter value can be in the name of an image by chance


def sent_secrets(servers: Iterable[ConfiguredServer], environment: Mapping[str, str]) -> Iterator[str]:
    """Yields a sentence, without its full stop, for each address of `servers` that contains secrets.

    Args:
        servers: the servers of a YAML file.
        environment: the variables that were inserted into the file.
    """
    secrets = {name: value for name, value in environment.items() if is_secret(name, value)}
    for server in servers:
        for path in (model.path for model in server.spec.models if isinstance(model.path, Url)):
            if sent := ", ".join(name for name in variables_in(path.written) if name in secrets):
                yield f"{server.spec.name}: {sent} of your environment is sent to the host of {path.shown}"
        image = server.spec.image or ""
        inside = (name for name, value in secrets.items() if len(value) >= _MIN_IN_IMAGE and value in image)
        if sent := ", ".join(inside):
            yield f"{server.spec.name}: {sent} of your environment is sent to the registry of the image"
