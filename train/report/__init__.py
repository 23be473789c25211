"""The report of all runs: one page with figures and an error browser.

The tables of the comparison come in, with predictions, images and learning curves. `report.html`
and the figures go out. A stranger may add a figure to `figures/`, or a section to `build.py`.

matplotlib reads the settings in its folder when it is imported, and writes its font list there:
whichever figure comes first, this comes before it.
"""

from extract.core.offline import leave_home_alone

leave_home_alone()
