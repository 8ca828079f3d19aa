"""What people read after a run: tables in the terminal, and report.html. Readers of the run's folder, nothing else."""
