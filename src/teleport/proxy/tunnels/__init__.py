"""Tunnels of agents to this proxy: taken, found by whom they lead to, and ended."""
