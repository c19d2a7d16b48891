"""The tests: they mirror tfserve/ file for file; e2e/ needs a Docker Engine, benchmarks/ is run by hand."""
