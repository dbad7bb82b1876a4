"""Tunnels of this agent to the proxies: one to each of them, made and kept from here."""
