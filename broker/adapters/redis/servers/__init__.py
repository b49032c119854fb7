"""How the servers of one store are reached: standalone, through Sentinel, or as members of a Cluster."""
