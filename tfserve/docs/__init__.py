"""The documentation by topic: one Markdown file for each, shown by ``tfserve help TOPIC``.

The list of topics is data, so that it can be shown without reading a file.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["DIRECTORY", "TOPICS", "read_topic"]

DIRECTORY = Path(__file__).parent

TOPICS = {
    "guide": "The commands of TensorFlow Serving's guide for Docker, and tfserve's",
    "requests": "Send requests: values, CSV, JSON, files, REST and gRPC",
    "versions": "Several models in one server, their versions and labels",
    "tfserve-yaml": "Describe servers in a YAML file",
    "gpu": "Serve on NVIDIA GPUs",
    "serving-images": "Create, list and build serving images",
    "archives": "Models in archives and in buckets",
    "local-server": "Serve without Docker, and what is different there",
    "python": "Serve and send requests from Python",
    "scripts": "Use tfserve in scripts: exit codes and JSON output",
    "security": "What tfserve protects, against whom, and what it does not protect",
    "troubleshooting": "What to do when something does not work",
    "speed": "How long commands and requests take",
    "developers": "How the source code is organized, and where a change goes",
    "reference": "Every command with all its options",
}
"""Each topic with a summary of it."""


def read_topic(name: str) -> str:
    """Returns the page of a topic as Markdown.

    Args:
        name: one of `TOPICS`.
    """
    return (DIRECTORY / f"{name}.md").read_text(encoding="utf-8")
