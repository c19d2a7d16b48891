"""Tests of YAML files."""
