"""The development container: a shell or a command in a development image of TensorFlow Serving."""
