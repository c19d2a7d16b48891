"""TensorFlow itself: the C API, tensors, sessions, and requests that run together."""
