"""What several studies have in common: cells, rows, colours, flags, machines, turns."""
