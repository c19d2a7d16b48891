"""What the user requested: frozen dataclasses, and the parsers that create them from text."""
