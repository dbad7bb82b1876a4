"""The nouns: frozen models of everything that has a kind, a version and a name. No I/O happens here."""
