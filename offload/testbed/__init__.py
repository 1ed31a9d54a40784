"""The real thing on one machine: processes that run parts of networks and send tensors to each other."""
