"""Boxes become crop files and dictionaries of them.

A grounding store and the images come in. Files `<image name>_pred_yolo_crop_<num>.png`, the
list `crops.jsonl` and dictionaries `{image: [crops]}` go out. A stranger may add a form of
the dictionary's keys (`dictionary.py`), or a rule for which box gives a crop (`plan.py`).
"""
