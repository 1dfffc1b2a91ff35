"""Helpers that are not about networks: optional packages, wrappers, warnings."""
