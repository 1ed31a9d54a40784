"""Algorithms on numbers, graphs and jobs that know nothing of devices and requests."""
