"""How large sweeps may become: simulated finished runs, and what reads them."""
