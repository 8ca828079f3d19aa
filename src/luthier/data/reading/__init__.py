"""Rows out of files, folders, archives, databases and the hub. Nothing here knows what the rows mean."""
