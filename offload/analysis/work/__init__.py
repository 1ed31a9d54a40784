"""Replications as pieces of work: what one is, and who does it."""
