"""An adapter of requests whose responses have limits of time and size; see `tfserve.host.deadline`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager

from tfserve.host.deadline import TimedResponse

__all__ = ["TimedAdapter"]


class TimedAdapter(HTTPAdapter):
    """Creates the responses of its connections with `response`, and keeps one connection open."""

    def __init__(self, response: Callable[..., TimedResponse]) -> None:
        self._pools = {"http": _pool(HTTPConnectionPool, response), "https": _pool(HTTPSConnectionPool, response)}
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool(kind: type[HTTPConnectionPool], response: Callable[..., TimedResponse]) -> type[HTTPConnectionPool]:
    connection = type("Connection", (kind.ConnectionCls,), {"response_class": staticmethod(response)})
    return type("Pool", (kind,), {"ConnectionCls": connection})
