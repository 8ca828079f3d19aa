"""Trackers, one file each; `luthier.tracking.Tracker` is their shape."""
