"""Does a denoiser's encoder help a classifier that has few labels?"""
