"""How well do the shipped denoisers do, beside BM3D?"""
