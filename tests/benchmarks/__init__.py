"""How fast tfserve is, always as a ratio to something that anybody can run: ``python -m tests.benchmarks``."""
