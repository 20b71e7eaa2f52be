"""What tssl needs of the machine: whole files, all cores, compiled code."""
