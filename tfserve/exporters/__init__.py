"""Exports a launch plan: each module is one format, and contains a pure function from a plan to text.

`Planner.command_line` of an engine chooses the format of its plans.
"""
