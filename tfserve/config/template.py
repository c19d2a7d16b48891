"""A first file: one server that works, and a comment for everything else that can be said of it."""

from __future__ import annotations

from tfserve.config.fields import CONFIG_HELP, FIELDS

__all__ = ["first_file"]

_HEAD = """\
# Servers for TensorFlow SavedModels. Paths start at this file; ${NAME}, ${NAME:-default} and ${NAME:?message} are
# variables of the environment, and $$ is a dollar sign.
#
#   tfserve up       start what is described here, change what has changed, leave the rest
#   tfserve down     stop and remove it
#   tfserve config   show what this file comes to
#   tfserve schema   print a JSON Schema, for editors

"""
_MODEL_COMMENTS = """\
        # versions: latest        # or latest=2, all, or a list: [1, 3]
        # labels: {stable: VERSION}
"""


def first_file(name: str, path: str, version: int = 1) -> str:
    """Returns a file with a server of one model.

    Args:
        name: the model's and the server's name.
        path: where the model is, as the file says it.
        version: one of its versions, for an example.
    """
    name = _scalar(name)
    lines = [
        *("servers:", f"  {name}:", "    models:"),
        *(f"      - path: {_scalar(path.replace('$', '$$'))}", f"        name: {name}"),
        _MODEL_COMMENTS.replace("VERSION", str(version)).rstrip(),
        _comment("  # - ./another_model", "Named like its directory, where no name is given."),
        _comment("# config: ./models.config", CONFIG_HELP),
    ]
    lines += [_comment(f"# {field.name}: {field.example}", field.help) for field in FIELDS]
    lines += [
        *("", "# What holds for every server that does not say otherwise, with the same fields:"),
        *("# defaults:", "#   memory: 2g", ""),
    ]
    return _HEAD + "\n".join(lines)


def _comment(text: str, help_: str) -> str:
    return f"    {text}".ljust(56) + f"  # {help_}"


def _scalar(text: str) -> str:
    """Writes a text as YAML, with quotes where it needs them."""
    import yaml

    written = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=2**16)
    return str(written).strip()[1:-1]
