"""Asks a server: from what a person typed, or a program has, to a request, and back to a table or arrays.

Nothing is imported here, so that whoever needs one module pays for that one alone.
"""
