"""Enough for what imports gradio; the page's own tests want a real one."""

__version__ = "3.41.2"


class Stub:
    pass


Button = Checkbox = Dropdown = HTML = Image = Number = Radio = Row = Slider = Textbox = Stub
