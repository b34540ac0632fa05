"""Do published systems reach what their sources report?"""
