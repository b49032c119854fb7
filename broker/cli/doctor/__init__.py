"""`doctor`: what is wrong with a fleet, why, and what to do about it."""
