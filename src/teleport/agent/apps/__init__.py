"""Applications on the agent's side. Whom a proxy sends is judged once more, by what auth says."""
