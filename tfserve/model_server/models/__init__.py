"""Models, versions and labels: configuration, file system, loading and unloading.

`manager` is the part that the rest of the server uses, and makes all decisions. Below it: `config_file` and `config`
(the configured models), `version_source` (the versions in the file system), `loader` (threads that load and unload),
`waiting` (callers that wait for models), `registry` and `version` (the state of each version), `serving_map` (the
versions that requests can use).
"""
