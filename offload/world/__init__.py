"""Physics as pure functions of time: positions, births, what links carry, what is drawn, what breaks."""
