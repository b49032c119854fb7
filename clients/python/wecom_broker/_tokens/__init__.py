"""Access tokens: kept in memory, and kept current by watches."""
