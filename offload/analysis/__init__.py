"""Rows, measures and the claims that they carry."""
