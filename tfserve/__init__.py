"""tfserve: TensorFlow Serving with one command, or from Python with `serve` and `Client`."""

from __future__ import annotations

from tfserve._version import __version__

TYPE_CHECKING = False  # importing typing would take longer than everything in this module
if TYPE_CHECKING:
    from tfserve.client.numpy_client import Client
    from tfserve.servers.python_api import RunningServer, serve

__all__ = ["Client", "RunningServer", "__version__", "serve"]


def __getattr__(name: str) -> object:
    """Imports a public name when it is first used, because most commands do not need them."""
    if name in ("RunningServer", "serve"):
        from tfserve.servers import python_api

        return getattr(python_api, name)
    if name == "Client":
        from tfserve.client.numpy_client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
