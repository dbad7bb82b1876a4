"""`tsh`: what people use to log in, and to open what they may open."""
