"""Dependency injection: what endpoints ask for, and how they get it."""
