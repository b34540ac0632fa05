"""Do decoders at initialisation, and soon after it, behave as theory says?"""
