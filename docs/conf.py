"""Configuration of the documentation. Build with `python -m sphinx -W docs docs/_build/html`."""

import os
import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# The gallery runs torch: threads that wait must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

project = "skcascade"
author = "skcascade developers"
copyright = f"2026, {author}"
release = version = installed_version("skcascade")

extensions = [
    "benchmark_results",
    "matplotlib.sphinxext.plot_directive",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "rooms",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "auto_examples/*.ipynb",
    "auto_examples/*.py",
    "**.json",
    "**.md5",
    "**.zip",
]
default_role = "code"
# Docstrings inherited from scikit-learn refer to labels of its own documentation.
suppress_warnings = ["ref.ref"]

autosummary_generate = True
# Where file names ignore case, the page of the class must not overwrite that of the function.
autosummary_filename_map = {"skcascade.Walk": "skcascade.Walk-class"}
autodoc_typehints = "none"  # types are in the docstrings
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class template lists them
numpydoc_class_members_toctree = False

extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}

# A build must not depend on other sites: links to other projects' documentation only on demand.
intersphinx_mapping = {}
if os.environ.get("SKCASCADE_INTERSPHINX"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

# Figures of benchmarks, drawn from their results by functions of `_ext/benchmark_results.py`.
plot_formats = [("png", 120)]
plot_include_source = plot_html_show_source_link = plot_html_show_formats = False

# Examples that train for minutes are shown; they are run only on demand.
slow_examples = "" if os.environ.get("SKCASCADE_SLOW_EXAMPLES") else "(?!fashion_mnist)"
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": re.escape(os.sep) + "plot_" + slow_examples,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skcascade {release}"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
single_pages = "benchmarks", "changelog", "glossary", "install", "quickstart"
html_sidebars = {page: [] for page in single_pages}

myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def skip_member(app, what, name, obj, skip, options):
    """Omit entries without information: fields of named tuples, generated routing methods."""
    is_field = (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
    is_request = name.startswith("set_") and name.endswith("_request")
    return True if is_field or is_request else None


def escape_types(app, what, name, obj, options, lines):
    """Keep types such as (n_features_in_, *shape) from being read as links and emphasis."""
    for i, line in enumerate(lines):
        if match := re.fullmatch(r"(\s*[\w, *]+ : )([^`]+)", line):
            lines[i] = match[1] + re.sub(r"(_\b|\*)", r"\\\1", match[2])


def setup(app):
    """Connect the hooks above, the second one before numpydoc's own."""
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", escape_types, priority=400)
