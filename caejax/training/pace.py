"""How many steps a call of a compiled program takes."""

_SECONDS = 1.0  # that a call lasts, about: nothing else is heard meanwhile


class Pace:
    """The number of steps that take about a second, from how long the last ones took.

    Attributes:
      steps: that number, 1 before anything is known.
    """

    def __init__(self):
        self.steps = 1

    def learn(self, taken: int, seconds: float) -> None:
        """Notes how long steps took.

        Args:
          taken: the number of steps; from none nothing is learnt.
          seconds: how long they took, above 0.
        """
        if taken:
            most = 16 * self.steps  # the first call may be slow or quick by chance
            self.steps = min(most, max(1, round(taken * _SECONDS / seconds)))
