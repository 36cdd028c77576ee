"""placeholder"""


class LearnedOptimizer:
    pass
