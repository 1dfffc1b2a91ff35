"""The order of the gallery: first what compares pairs, then the rest by name."""

FIRST = ["plot_pairing_grid.py", "plot_three_losses.py", "plot_compare_pairings.py"]


class GalleryOrder:
    """A sort key for sphinx-gallery."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Place in `FIRST`, then the name."""
        place = FIRST.index(filename) if filename in FIRST else len(FIRST)
        return place, filename

    def __repr__(self):
        return "GalleryOrder"
