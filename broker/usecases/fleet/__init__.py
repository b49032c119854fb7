"""How replicas act as one: single flights, leases, notices and background work."""
