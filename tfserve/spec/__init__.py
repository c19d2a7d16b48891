"""What the user asked for: frozen dataclasses, and how text becomes one of them."""
