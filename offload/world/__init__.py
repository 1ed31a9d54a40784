"""Physics as pure functions of time: where devices are, when requests are born."""
