"""Scenario files: their schema, their errors, the catalogue they draw on, and what they set up."""
