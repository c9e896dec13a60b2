"""Toy judges that describe faces and pictures."""

from toybench import _count


class Colours:
    """Calls the mean colour of an aligned face its shape, and its brightness its expression."""

    def __init__(self, card, device):
        self.card = card

    def describe(self, crops):
        _count("described", len(crops))
        mean = crops.mean((2, 3))
        return {"shape": mean, "expression": mean.mean(1, keepdim=True)}


class Corners:
    """The colours of the corners of the method's crop; sees no face where the first is black."""

    def __init__(self, card, device):
        self.card = card

    def describe(self, crops):
        _count("seen", len(crops))
        corners = crops[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1)
        corners[corners[:, 0] == 0] = float("nan")
        return {"features": corners}


class Miscounted:
    """Gives fewer numbers than its card says."""

    def __init__(self, card, device):
        self.card = card

    def describe(self, crops):
        return {"pose": crops.new_zeros(len(crops), 2)}
