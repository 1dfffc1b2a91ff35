"""The site: `python -m sphinx -W --keep-going -b html docs docs/_build`."""

import os
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "_ext")]
# The problems of the gallery are too small for BLAS threads to pay
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["TQDM_DISABLE"] = "1"  # no progress bars among the output
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

import skce  # noqa: E402

project = "skce"
author = "the skce developers"
copyright = author
version = release = skce.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "code_blocks",
    "line_breaks",
    "mathml",
    "pairing_table",
    "results",
]
exclude_patterns = [
    "_build",
    "_templates",
    "gallery/*.ipynb",
    "gallery/*.py",
    # its table takes its JavaScript from the network
    "**sg_execution_times.rst",
]
templates_path = ["_templates"]
default_role = "obj"  # `name` in a docstring links to its page, if it has one
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

autosummary_generate = True
# where files differ by more than small and capital letters
autosummary_filename_map = {"skce.Summary": "skce.Summary_of_a_fit"}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # numpydoc shows the types of the docstrings
numpydoc_show_class_members = False

# With SKCE_INTERSPHINX=1 types link to the pages of the packages that they come from,
# whose inventories are read from the network; else they are plain text
linked = os.environ.get("SKCE_INTERSPHINX") == "1"
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "scipy": ("https://docs.scipy.org/doc/scipy", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "matplotlib": ("https://matplotlib.org/stable", None),
    "dask": ("https://docs.dask.org/en/stable", None),
}
intersphinx_mapping = intersphinx_mapping if linked else {}
numpydoc_xref_param_type = linked
numpydoc_xref_ignore = "all"  # what is neither an alias nor among numpydoc's own
numpydoc_xref_aliases = {
    "DataFrame": "pandas.DataFrame",
    "pandas.DataFrame": "pandas.DataFrame",
    "Pipeline": "sklearn.pipeline.Pipeline",
    "matplotlib.axes.Axes": "matplotlib.axes.Axes",
    "matplotlib.figure.Figure": "matplotlib.figure.Figure",
    **{name: f"skce.{name}" for name in skce.__all__ if name[0].isupper()},
}

# The button copies what was typed: no prompts, and nothing that was printed
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": [str(ROOT / "examples")],
    "gallery_dirs": ["gallery"],
    "filename_pattern": "/plot_",
    "within_subsection_order": "gallery_order.GalleryOrder",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "backreferences_dir": "generated/examples",
    "doc_module": ("skce",),
    "exclude_implicit_doc": {"skce.__version__"},
    "download_all_examples": False,
    "plot_gallery": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skce {release}"
html_static_path = ["_static"]
html_css_files = ["skce.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "index": [],
    "benchmarks": [],
    "features": [],
    "changelog": [],
    "contributing": [],
}
