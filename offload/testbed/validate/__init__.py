"""The reality check: cells that are run and simulated, and how far the two are apart."""
