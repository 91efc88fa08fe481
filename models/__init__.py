"""Faces to expression to emotion: the science, free of any workflow tool."""
