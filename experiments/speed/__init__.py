"""How fast does caejax train, against stock Flax and PyTorch?"""
