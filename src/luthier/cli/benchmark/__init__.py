"""Ask a run about published test sets, by the rules under which others published their scores."""
