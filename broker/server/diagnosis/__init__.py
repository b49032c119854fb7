"""What is wrong with a fleet, why, and what to do about it: for the doctor and the console."""
