"""Enough for what imports gradio; the page's own tests want a real one."""

__version__ = "3.41.2"


class Component:
    pass


Accordion = Button = Checkbox = Dropdown = File = HTML = Image = Number = Radio = Row = Component
Slider = Textbox = UploadButton = Component
