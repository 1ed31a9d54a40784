"""The playground: a page on the loopback where sliders move the best cut, and policies meet in a world."""
