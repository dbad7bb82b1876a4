"""Applications behind the public port. The proxy decides nobody's access: it asks auth, and the agent asks again."""
