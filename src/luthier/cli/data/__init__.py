"""Look at rows, prepare them without training, compare preparations, and turn files into other files."""
