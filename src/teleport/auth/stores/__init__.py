"""What the stored bytes mean: one module for each thing that is kept. Nothing here decides who may do what."""
