"""The cheapest configuration that meets targets."""
