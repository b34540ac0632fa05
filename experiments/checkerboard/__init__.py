"""Which decoders checkerboard, when, and does it show in quality?"""
