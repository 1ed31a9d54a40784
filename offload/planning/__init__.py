"""Plans as columns, and their prices."""
