"""TensorFlow itself: the C API, tensors, sessions and batching."""
