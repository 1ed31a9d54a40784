"""The world that moves; the only place that knows SimPy."""
