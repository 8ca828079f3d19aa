"""Races Luthier against other trainers: same base, same tokens, same steps, each in its own process and environment."""
