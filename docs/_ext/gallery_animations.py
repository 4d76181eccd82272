"""Animations in the gallery, as GIF images.

The gallery's own players load their buttons from elsewhere or need a video encoder; a GIF
needs neither.
"""

import matplotlib.pyplot as plt
from matplotlib.animation import Animation
from sphinx_gallery.scrapers import figure_rst


def save_animations(block, block_vars, gallery_conf):
    """Save the animations that a block has made, and close their figures for the next scraper."""
    paths = []
    # by identity: a later figure takes the number of one that was closed
    open_figures = [plt.figure(number) for number in plt.get_fignums()]
    for animation in block_vars["example_globals"].values():
        if isinstance(animation, Animation) and animation._fig in open_figures:
            path = f"{next(block_vars['image_path_iterator'])}".replace(".png", ".gif")
            animation.save(path, writer="pillow", dpi=80)
            plt.close(animation._fig)
            paths.append(path)
    title = "Animation of the example"
    return figure_rst(paths, gallery_conf["src_dir"], title) if paths else ""
