"""Serving images: listing, describing, packaging models into them, and building them from source."""
