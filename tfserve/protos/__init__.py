"""Wire formats of TensorFlow and TensorFlow Serving: the ``.proto`` files and the modules generated from them."""
