"""The interfaces of TensorFlow and TensorFlow Serving, as data: flags and wire formats.

The ``.proto`` files are the source of the ``_pb2`` modules.
"""
