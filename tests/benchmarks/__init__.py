"""Measures speed and memory as ratios to programs that anyone can run: ``python -m tests.benchmarks``."""
