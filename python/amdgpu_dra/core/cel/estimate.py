"""tmp"""
def estimate(checked): return 0
