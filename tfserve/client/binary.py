"""Bytes as the JSON of the REST API carries them: ``{"b64": "AAEC"}``.

Source: ``tensorflow_serving/g3doc/api_rest.md``, "Encoding binary values".
"""

from __future__ import annotations

import base64
from typing import Any

__all__ = ["encode_bytes", "is_encoded_bytes"]


def encode_bytes(content: bytes) -> dict[str, str]:
    """Returns the JSON object that stands for `content`."""
    return {"b64": base64.b64encode(content).decode("ascii")}


def is_encoded_bytes(value: Any) -> bool:
    """Returns whether a value read from JSON has the form of bytes; what is in it may still be no base64."""
    return isinstance(value, dict) and list(value) == ["b64"]
