"""Tests of what runs a launch plan."""
