"""The file that ``tfserve init`` creates: one server, and a comment for each of the other fields."""

from __future__ import annotations

from tfserve.spec.fields import FIELDS

__all__ = ["first_file"]

_HEAD = """\
# Servers for TensorFlow SavedModels. Paths are relative to this file; ${NAME}, ${NAME:-default} and ${NAME:?message}
# are environment variables, and $$ is a dollar sign.
#
#   tfserve up       start these servers; recreate those that changed
#   tfserve down     stop and remove them
#   tfserve config   show this file with defaults and variables resolved
#   tfserve schema   print a JSON Schema for editors

"""
_MODEL_COMMENTS = """\
        # versions: latest        # or latest=2, all, or a list: [1, 3]
        # labels: {stable: VERSION}
"""


def first_file(name: str, path: str, version: int = 1) -> str:
    """Returns a file with one server of one model.

    Args:
        name: the name of the model and of the server.
        path: the path of the model, relative to the file.
        version: one of its versions, for the examples in comments.
    """
    name = _scalar(name)
    lines = [
        "servers:",
        f"  {name}:",
        "    models:",
        f"      - path: {_scalar(path.replace('$', '$$'))}",
        f"        name: {name}",
        _MODEL_COMMENTS.replace("VERSION", str(version)).rstrip(),
        _comment("  # - ./another_model", "Another model, named after its directory."),
    ]
    lines += [_comment(f"# {field.name}: {field.example}", field.help) for field in FIELDS if field.key is not None]
    lines += ["", "# Defaults for all servers, with the same fields:", "# defaults:", "#   memory: 2g", ""]
    return _HEAD + "\n".join(lines)


def _comment(text: str, help_: str) -> str:
    return f"    {text}".ljust(56) + f"  # {help_}"


def _scalar(text: str) -> str:
    """Writes text as YAML, quoted where necessary."""
    import yaml

    written = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=2**16)
    return str(written).strip()[1:-1]
