"""Networks: captured, timed, compressed, rescaled; the one place that knows torch."""
