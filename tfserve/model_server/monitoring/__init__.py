"""TensorFlow Serving's metrics, and the Prometheus page that shows them."""
