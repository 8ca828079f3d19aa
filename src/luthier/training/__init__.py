"""The loop, checkpoints, optimisers, schedules, and the plan of a run."""
