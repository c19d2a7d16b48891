"""YAML files that describe servers, and the specs that they describe.

`read` and `write` convert between the two, `schema` describes the files for editors, and `template` creates the first
file. They use `source_map` (the place in a file that an error is about), `document` (YAML with lines and limits),
`interpolation` (``${VAR}``) and `paths`. The fields of a server are defined in `tfserve.spec.fields`.
"""
