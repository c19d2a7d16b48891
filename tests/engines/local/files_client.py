"""Makes a model use files of the machine that serves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import requests

__all__ = ["FilesClient"]


class FilesClient(NamedTuple):
    """A client of the model ``files``; each method returns the text of a file, or the server's error.

    Attributes:
        url: the URL of its REST API.
        model: its name.
    """

    url: str
    model: str = "files"

    def read(self, path: str | Path) -> str:
        return str(self._outputs("read", str(path)))

    def write(self, path: str | Path, content: str = "written") -> str:
        return str(self._outputs("write", {"path": str(path), "content": content}))

    def match(self, pattern: str | Path) -> Any:
        return self._outputs("match", str(pattern))

    def own(self) -> str:
        return str(self._outputs("serving_default", [1.0])[0])

    def _outputs(self, signature: str, inputs: object) -> Any:
        request = {"signature_name": signature, "inputs": inputs}
        answer = requests.post(f"{self.url}/v1/models/{self.model}:predict", json=request, timeout=30).json()
        return answer.get("outputs", answer.get("error"))
