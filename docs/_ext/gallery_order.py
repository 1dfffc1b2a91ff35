"""The order of the gallery: first a question each, then the rest by name."""

FIRST = [
    "plot_three_losses.py",
    "plot_compare_pairings.py",
    "plot_alpha_path.py",
    "plot_calibration.py",
    "plot_moderated_probabilities.py",
    "plot_time_to_quality.py",
]


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
