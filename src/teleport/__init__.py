"""A Teleport-compatible cluster: an auth server, its agents, and the tools to run them."""
