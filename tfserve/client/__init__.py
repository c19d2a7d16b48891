"""Asks a server: from what a person typed to a request, over REST, and from the answer to a table.

Nothing is imported here, so that whoever needs one module pays for that one alone.
"""
