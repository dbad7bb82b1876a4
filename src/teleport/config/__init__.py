"""teleport.yaml: text in, frozen settings out. Read once, passed down, never consulted again."""
