"""The same comparison at many points of a scenario."""
