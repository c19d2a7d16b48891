"""Which models, versions and labels there are: configuration, file system, loading and unloading.

`manager` is what the rest of the server sees, and decides everything. Down from it: `config_file` and `config` (what is
asked for), `version_source` (what is there), `loader` (threads that load and unload), `waiting` (who waits for models),
`registry` and `version` (what is known of each version), `serving_map` (what requests can get).
"""
