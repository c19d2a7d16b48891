"""YAML files of servers, and the specs they stand for.

From the outside in: `servers` (a file <-> specs), `schema` (what an editor checks it by) and `template` (a first file);
`fields` (every field a server has, once) and `readers` (what reads them); `document` (YAML with lines and limits) and
`interpolation` (``${VAR}``).
"""
