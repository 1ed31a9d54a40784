"""One page on what a comparison came to, which needs no network and no other file."""
