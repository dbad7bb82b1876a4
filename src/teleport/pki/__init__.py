"""Certificates, keys, signatures and sealing; nothing else in the project imports the cryptography library."""
