"""The playground: a page on the loopback with sliders, bars of each cut, and a short simulation."""
