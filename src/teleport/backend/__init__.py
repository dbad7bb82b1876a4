"""Storage: bytes under keys, with revisions, expiry and watch. What the bytes mean is known in `auth/stores` alone."""
