"""What is to be done about an object: decided here by plain functions, and done elsewhere."""
