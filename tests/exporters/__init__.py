"""Tests of launch plans written down."""
