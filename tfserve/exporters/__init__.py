"""A launch plan written down: one module a format, each a pure function from plan to text."""
