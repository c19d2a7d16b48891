"""Clears the cache of models, except for what servers still need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfserve.errors import UsageError
from tfserve.models import cache as model_cache
from tfserve.models.cache import CachedModel, cache_errors, cached_models, forget_gone
from tfserve.servers.lookup import list_servers

__all__ = ["Cleared", "clear"]


@dataclass(frozen=True)
class Cleared:
    """What was removed from the cache, and what was kept, with the names of the servers that have it."""

    removed: tuple[CachedModel, ...]
    kept: tuple[tuple[CachedModel, tuple[str, ...]], ...]


def clear(digests: Sequence[str]) -> Cleared:
    """Removes models from the cache, and what processes that died have left there.

    What a server has, running or stopped, is kept: without its files a running server would end to serve the model.

    Args:
        digests: which ones, by the first digits of their digests; none for all.

    Raises:
        UsageError: there is no such model, or several, or a server has one that was named.
        TfserveError: the cache cannot be changed.
    """
    models = cached_models()
    chosen = [_find(digest, models) for digest in dict.fromkeys(digests)] if digests else models
    seen = [(server.name, Path(source)) for server in list_servers().servers for source in server.mounts]
    users = {
        model.digest: tuple(
            dict.fromkeys(name for name, source in seen if source.is_relative_to(model.path.parent.resolve()))
        )
        for model in chosen
    }
    for model in chosen:
        if digests and (names := users[model.digest]):
            raise UsageError(
                f"{model.source} in the cache is needed by {_listed(names)}.",
                hint=f"Remove the server first: tfserve rm {names[0]}",
            )
    free = [model for model in chosen if not users[model.digest]]
    for model in free:
        model_cache.remove(model.digest)
    if not digests:
        model_cache.remove_leftovers()
    with cache_errors(model_cache.cache_root()):
        forget_gone()
    return Cleared(tuple(free), tuple((model, users[model.digest]) for model in chosen if users[model.digest]))


def _find(digest: str, models: Sequence[CachedModel]) -> CachedModel:
    found = [model for model in models if digest and model.digest.startswith(digest.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"Several models in the cache begin with {digest!r}.", hint="Give more digits: tfserve cache")
    raise UsageError(f"There is no model {digest!r} in the cache.", hint="See what there is: tfserve cache")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
