"""Serving images: pulls and lists them, packages models into them, and builds them from source."""
