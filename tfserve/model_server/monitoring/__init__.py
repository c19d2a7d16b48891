"""Metrics under the names TensorFlow Serving gives them, and the Prometheus page that shows them."""
