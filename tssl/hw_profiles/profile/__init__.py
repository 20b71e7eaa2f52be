"""What a profile may say, and finding and reading it."""
