"""Many streams over one connection: the protocol of reverse tunnels and of what the proxy forwards."""
