"""How programs run: start-up, compilation, devices, random streams."""
