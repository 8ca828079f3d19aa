"""Prompt templates by name, one Jinja file each."""
