"""What helps at the shell: completion, and a guess at what was meant."""
