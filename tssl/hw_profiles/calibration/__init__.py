"""A profile learns from measured runs: a log, what it can tell, and the fitted prices."""
