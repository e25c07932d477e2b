"""Rewriting the user's script, so that a treatment becomes permanent.

The package imports nothing by itself: LibCST takes half a second, and only a patch needs it.
"""
