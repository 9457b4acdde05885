"""Watching a deployed cascade for drift."""
