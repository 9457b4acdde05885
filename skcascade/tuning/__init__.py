"""The choice of the operating point, on recorded answers."""
