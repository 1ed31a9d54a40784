"""What the world between layers and links costs on this machine, measured between real processes."""
