"""Tests against a real Docker Engine, and what brings one up with stand-in `tensorflow/serving` images."""
