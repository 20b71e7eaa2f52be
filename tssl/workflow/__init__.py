"""One function per verb: what the command line does, without its words. Knows all rooms."""
