"""`tctl`, the administrator's tool: one module a command; nothing here decides what is allowed, auth does."""
