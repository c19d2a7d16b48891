"""The client of a server: builds requests from typed words or Python values, and turns responses into tables or arrays.

This module imports nothing, so that importing one module of the package does not load the others.
"""
