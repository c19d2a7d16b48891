"""tfserve: TensorFlow Serving in one command, or from Python: see `serve` and `Client`."""

from __future__ import annotations

from tfserve._version import __version__

TYPE_CHECKING = False  # typing itself takes longer to load than all of this
if TYPE_CHECKING:
    from tfserve.client.numpy_client import Client
    from tfserve.servers.python_api import serve

__all__ = ["Client", "__version__", "serve"]


def __getattr__(name: str) -> object:
    """Loads what is asked for when it is: a command that only prints pays for none of it."""
    if name == "serve":
        from tfserve.servers.python_api import serve

        return serve
    if name == "Client":
        from tfserve.client.numpy_client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
