"""The operator: `TeleportProvisionToken` objects of Kubernetes become join tokens."""
