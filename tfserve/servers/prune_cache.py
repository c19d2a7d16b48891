"""Removes models from the cache, except for those that servers still use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfserve.errors import UsageError
from tfserve.models import cache as model_cache
from tfserve.models.cache import CachedModel, cache_errors, cached_models, remove_stale_validators
from tfserve.servers.lookup import list_servers

__all__ = ["Pruned", "prune"]


@dataclass(frozen=True)
class Pruned:
    """The models that were removed from the cache, and those that were kept, with the servers that use them."""

    removed: tuple[CachedModel, ...]
    kept: tuple[tuple[CachedModel, tuple[str, ...]], ...]


def prune(digests: Sequence[str]) -> Pruned:
    """Removes models from the cache, and the incomplete files of processes that were killed.

    The models of servers are kept, whether the servers are running or stopped.

    Args:
        digests: the first digits of the digests of the models to remove; none for all models.

    Raises:
        UsageError: a digest matches no model, several models, or the model of a server.
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
                f"{model.source} is in use by {_listed(names)}.",
                hint=f"Remove the server first: tfserve rm {names[0]}",
            )
    free = [model for model in chosen if not users[model.digest]]
    for model in free:
        model_cache.remove(model.digest)
    if not digests:
        model_cache.remove_leftovers()
    with cache_errors(model_cache.cache_root()):
        remove_stale_validators()
    return Pruned(tuple(free), tuple((model, users[model.digest]) for model in chosen if users[model.digest]))


def _find(digest: str, models: Sequence[CachedModel]) -> CachedModel:
    found = [model for model in models if digest and model.digest.startswith(digest.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"The digests of several cached models begin with {digest!r}.", hint="Give more digits: tfserve cache"
        )
    raise UsageError(f"No model in the cache has the digest {digest!r}.", hint="List them: tfserve cache")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
