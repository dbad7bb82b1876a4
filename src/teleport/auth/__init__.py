"""The auth server: it holds the authorities, the tokens and the presence records, and judges who may join."""
