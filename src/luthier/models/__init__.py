"""Find, load and describe base models, and ask them."""
