"""Networks of others, in and out: each format turns a file into a checkpoint, and back."""
