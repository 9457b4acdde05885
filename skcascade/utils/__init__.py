"""Shared by all rooms: warnings, seeds, logging, cache keys, private names of libraries."""
