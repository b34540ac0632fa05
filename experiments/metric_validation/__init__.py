"""Do the metrics see planted artifacts, and only these?"""
