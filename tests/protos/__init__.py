"""Tests of the wire-format definitions."""
