"""Asking models, scoring their answers, and comparing the tuned model with its base and with simpler ones."""
