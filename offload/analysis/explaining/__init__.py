"""Why requests were late."""
