"""The engines, which run launch plans. Every package in this directory is one, and declares itself as its `KIND`.

Nothing outside an engine's package names it: `tfserve.defaults.engine_names` finds the packages, and
`tfserve.engines.registry` loads what they declare.
"""
