"""The report of all runs, with its figures.

matplotlib reads the settings in its folder when it is imported, and writes its font list there:
whichever figure comes first, this comes before it.
"""

from extract.core.offline import leave_home_alone

leave_home_alone()
