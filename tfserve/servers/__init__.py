"""The life of a server: launch, readiness, smoke test, changes, replacement and removal."""
