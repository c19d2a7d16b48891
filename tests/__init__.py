"""The tests: they mirror tfserve/ file for file; engine/ needs a Docker Engine, benchmarks/ is run by hand."""
