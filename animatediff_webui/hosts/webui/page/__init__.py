"""The page: accordion, player, settings, XYZ axes, and reading settings back.

`widgets`, `module_info`, `plan_preview`, `infotext` and `axes` need neither gradio nor a host; `accordion`
needs gradio, and `settings`, `xyz` and `checkpoints` look for the host when they are called.
"""
