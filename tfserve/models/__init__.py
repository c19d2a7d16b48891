"""Where a model is and what is in it: addresses, archives, the cache, and SavedModels read without TensorFlow."""
