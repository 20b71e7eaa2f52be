"""What a network costs on a chip: amounts of work, times the figures of a profile."""
