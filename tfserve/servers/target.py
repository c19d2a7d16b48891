"""Which server and which of its models a request is for, and which of the words that were typed are values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfserve.client.model_ref import ModelRef
from tfserve.client.values import looks_like_value
from tfserve.defaults import Api, EngineChoice
from tfserve.engines.base import Server
from tfserve.errors import NoSuchServerError, RequestError, UsageError
from tfserve.servers.lookup import find_server
from tfserve.text import did_you_mean

__all__ = ["Target", "find_target", "split_words"]


@dataclass(frozen=True)
class Target:
    """The server and the model that a request is for.

    Attributes:
        address: the address of the server's REST API, or of its gRPC API if that was chosen.
        model: the model, in its newest version.
    """

    address: str
    model: ModelRef


def find_target(
    name: str | None, *, url: str | None = None, api: Api = "rest", engine: EngineChoice = "auto"
) -> Target:
    """Finds the model to ask.

    Args:
        name: the name of a server of one model, or of a model, or ``SERVER/MODEL``; None for the only running server.
        url: the address of a server that tfserve did not start; then `name` is the model's.
        api: which API to ask.
        engine: where to look for servers.

    Raises:
        NoSuchServerError: there is none, or it is stopped.
        RequestError: it does not publish that API.
        UsageError: several servers or models come into question; or `url` without `name`.
    """
    if url is None:
        return _target(_find(name, engine), name, api)
    if name is None:
        raise UsageError("With --url the model's name is needed.", hint="Give it as the first word, before the values.")
    return Target(url, ModelRef(name))


def split_words(
    words: Sequence[str],
    *,
    url: str | None = None,
    api: Api = "rest",
    engine: EngineChoice = "auto",
    is_value: Callable[[str], bool] = looks_like_value,
) -> tuple[Target, tuple[str, ...]]:
    """Finds the model to ask; returns it, and the words that are values.

    A first word that is no name, but looks like a value, is one for the only running server.

    Args:
        words: a name and values, or values alone.
        url: as in `find_target`.
        api: as in `find_target`.
        engine: as in `find_target`.
        is_value: whether a word looks like a value.

    Raises:
        TfserveError: as in `find_target`.
    """
    name, values = (words[0], tuple(words[1:])) if words else (None, ())
    if url is not None:
        return find_target(name, url=url), values
    try:
        server = _find(name, engine)
    except NoSuchServerError:
        if name is None or not is_value(name):
            raise
        return find_target(None, api=api, engine=engine), tuple(words)
    return _target(server, name, api), values


def _find(name: str | None, engine: EngineChoice) -> Server:
    server, separator, _ = (name or "").partition("/")  # which no name has in it
    return find_server(
        server if separator else name, engine, by_model=not separator, among=lambda server: server.running
    )


def _target(server: Server, name: str | None, api: Api) -> Target:
    if not server.running:
        raise NoSuchServerError(f"{server.name!r} is stopped.", hint=f"Start it: tfserve start {server.name}")
    address = server.address(api)
    if address is None:
        other = "grpc" if api == "rest" else "rest"
        raise RequestError(
            f"{server.name!r} has no {'REST' if api == 'rest' else 'gRPC'} API.",
            hint=f"It was started with --{api}-port none. Ask it with --api {other}.",
        )
    return Target(address, ModelRef(_model_name(server, name)))


def _model_name(server: Server, name: str | None) -> str:
    """Which model of `server` is meant by the name that was given."""
    _, separator, model = (name or "").partition("/")
    if separator and model not in server.models:
        hint = did_you_mean(model, server.models, f"{server.name}/") or f"It has: {', '.join(server.models)}."
        raise UsageError(f"{server.name!r} has no model {model!r}.", hint=hint)
    if separator:
        return model
    if name in server.models:
        return str(name)
    if len(server.models) > 1:
        raise UsageError(
            f"{server.name!r} serves several models: {', '.join(server.models)}.",
            hint=f"Name one: {server.models[0]}, or {server.name}/{server.models[0]}",
        )
    return server.models[0]
