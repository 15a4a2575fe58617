"""The accordion in txt2img and img2img."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import gradio as gr
from gradio.components import Component

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import FIELDS, Field, Kind, Parameters
from animatediff_webui.hosts.webui.patches import empty_at_zero
from animatediff_webui.hosts.webui.readable import readable_path
from animatediff_webui.media.errors import MediaError
from animatediff_webui.media.readers.infotext import read_infotext
from motion_module.module import MotionModule

from .checkpoints import chosen_base_model
from .compatibility import image, row, unsaved, uploaded_path, uploaded_paths, with_script
from .keyframe_gallery import show_keyframes, with_uploads
from .module_info import describe_module
from .page_data import page_data, to_html
from .pieces import warning_html
from .plan_preview import preview_plan, read_prompt_fields
from .source_preview import preview_source
from .widgets import LAYOUT, PREFIX, Group, Widget, WidgetKind, build_widgets

_SOURCE_FIELDS: tuple[str, ...] = (
    "video_source", "video_path", "mask_path", "video_start", "video_end", "video_stride", "fps",
)  # fmt: skip
READ_BACK_NOTE = (
    "Drop a GIF, WEBP, MP4, WEBM, APNG or AVIF that was made here: prompt and settings come back."
)


class Modules(Protocol):
    """The motion modules that the page lists."""

    def loaded(self, name: str) -> MotionModule | None: ...
    def names(self) -> list[str]: ...
    def find(self, name: str | None) -> tuple[str, Path]: ...
    def move_to_cpu(self) -> None: ...
    def unload(self) -> None: ...


@dataclass(frozen=True)
class ModuleButton:
    """A button beside the module list; where there is room it says what it does in a word or two."""

    name: str
    text: str
    tooltip: str


MODULE_BUTTONS = (
    ModuleButton("refresh", "🔄 Refresh", "Look for motion modules again"),
    ModuleButton("move_to_cpu", "📤 To CPU", "Free the graphics memory: move the motion module to the CPU"),
    ModuleButton("unload", "⏏️ Unload", "Free the memory: forget the motion module. No file is deleted"),
)


def build_accordion(is_img2img: bool, modules: Modules, defaults: Parameters) -> list[Component]:
    """Build it, and return its components: one for each parameter, in the order of the parameter table."""
    return _Accordion("img2img" if is_img2img else "txt2img", modules, defaults).build()


class _Accordion:
    """One tab's; the components it makes live as long as the page."""

    def __init__(self, tab: str, modules: Modules, defaults: Parameters) -> None:
        self.tab, self.modules = tab, modules
        self.widgets = {widget.name: widget for widget in build_widgets(modules.names(), defaults)}
        self.components: dict[str, Component] = {}
        self.buttons: dict[str, gr.Button] = {}

    def build(self) -> list[Component]:
        with gr.Accordion("AnimateDiff", open=False, elem_id=self._id("accordion"), elem_classes=[PREFIX]):
            for group in LAYOUT:
                self._build_group(group)
            self._build_actions()
            tooltips = {each.name: each.tooltip for each in MODULE_BUTTONS}
            unsaved(gr.HTML(to_html(page_data(self.widgets.values(), tooltips))))
        unsaved(self.components["format"])  # Settings have its default
        return [self.components[field.name] for field in FIELDS]

    def _id(self, name: str) -> str:
        return f"{PREFIX}_{self.tab}_{name}"

    def _build_group(self, group: Group) -> None:
        if group.title is None:
            self._build_rows(group)
            return
        visible = self.tab == "img2img" or not group.img2img_only
        with gr.Accordion(group.title, open=False, visible=visible, elem_classes=[f"{PREFIX}-group"]):
            if group.note:
                unsaved(gr.HTML(f'<div class="{PREFIX}-note">{group.note}</div>'))
            self._build_rows(group)
            if "video_source" in group.names:
                self._build_source_preview()
            if "keyframes" in group.names:
                self._build_keyframe_gallery()

    def _build_rows(self, group: Group) -> None:
        for names in group.rows:
            with row(elem_classes=[f"{PREFIX}-row"]):
                for name in names:
                    self.components[name] = self._build_component(self.widgets[name])
                if names == ("model",):
                    self._build_module_buttons()
                if names == ("video_source",):
                    self._build_upload()
            if names == ("model",):
                self._build_module_info()

    def _build_component(self, widget: Widget) -> Component:
        common = {"label": widget.label, "elem_id": self._id(widget.name), "interactive": True}
        if widget.kind is WidgetKind.IMAGE:
            return image(**common, height=240)
        return _BUILDERS[widget.kind](widget, {**common, "value": widget.value, "info": widget.info or None})

    # The motion module

    def _build_module_buttons(self) -> None:
        for each in MODULE_BUTTONS:
            classes = [f"{PREFIX}-tool"]
            button = gr.Button(each.text, elem_id=self._id(each.name), elem_classes=classes, size="sm")
            self.buttons[each.name] = unsaved(button)

    def _build_module_info(self) -> None:
        """The line below the list. The page's script clicks the hidden button on loading, and when the
        checkpoint changes; it tells that checkpoint's title through the hidden text."""
        info = unsaved(gr.HTML("", elem_id=self._id("module_info")))
        title = unsaved(gr.Textbox(visible=False, elem_id=self._id("checkpoint")))
        check = unsaved(gr.Button("Check", visible=False, elem_id=self._id("check")))
        model = self.components["model"]
        script = with_script("animatediffWithCheckpoint")

        def describe_after(event: Callable[..., object], act: Callable[[str | None, str], str]) -> None:
            event(act, inputs=[model, title], outputs=[info], show_progress="hidden", **script)

        refresh = self.buttons["refresh"]
        listed = refresh.click(self._relist, inputs=[model], outputs=[model], show_progress="hidden")
        for event in (model.change, check.click, listed.then):
            describe_after(event, self._describe)
        describe_after(self.buttons["move_to_cpu"].click, self._move_to_cpu)
        describe_after(self.buttons["unload"].click, self._unload)

    def _relist(self, chosen: str | None) -> object:
        names = self.modules.names()
        return gr.update(choices=names, value=chosen if chosen in names else next(iter(names), None))

    def _describe(self, name: str | None, checkpoint_title: str) -> str:
        try:
            listed, path = self.modules.find(name or None)
        except UserError as error:
            return warning_html(str(error))
        base_model = chosen_base_model(checkpoint_title)
        return describe_module(listed, path, base_model, self._place(listed)).to_html()

    def _place(self, name: str) -> str:
        """Where the module is, if it is in memory."""
        module = self.modules.loaded(name)
        if module is None:
            return ""
        return f"in memory ({next(module.parameters()).device.type})"

    def _move_to_cpu(self, name: str | None, checkpoint_title: str) -> str:
        self.modules.move_to_cpu()
        return self._describe(name, checkpoint_title)

    def _unload(self, name: str | None, checkpoint_title: str) -> str:
        self.modules.unload()
        return self._describe(name, checkpoint_title)

    # Files

    def _build_upload(self) -> None:
        look = {"elem_id": self._id("upload"), "elem_classes": [f"{PREFIX}-tool"], "size": "sm"}
        button = unsaved(gr.UploadButton("📁 Upload", file_types=["video", "image"], **look))
        source = [self.components["video_source"]]
        self.uploaded = button.upload(_path_text, inputs=[button], outputs=source, show_progress="hidden")

    def _build_source_preview(self) -> None:
        """The chosen part, shown on a click and after an upload; nothing is read while a path is typed."""
        button = unsaved(gr.Button("Show the chosen part", size="sm", elem_id=self._id("show_source")))
        shown = unsaved(gr.HTML("", elem_id=self._id("source")))
        page = unsaved(gr.Textbox(visible=False, elem_id=self._id("source_page")))
        components = [self.components[name] for name in _SOURCE_FIELDS]

        def show(page_fields: str, *values: object) -> str:
            named: dict[str, object] = dict(zip(_SOURCE_FIELDS, values, strict=True))
            readable = partial(readable_path, is_api=False)
            return preview_source(named, read_prompt_fields(page_fields).size, readable)

        script = with_script(f"(...values) => animatediffWithPrompts({self.tab!r}, values)")
        for event in (button.click, self.uploaded.then):
            event(show, inputs=[page, *components], outputs=[shown], show_progress="hidden", **script)

    def _build_keyframe_gallery(self) -> None:
        """Pictures are shown on a click and after an upload; nothing is read while a path is typed."""
        with row(elem_classes=[f"{PREFIX}-row"]):
            look = {"elem_id": self._id("upload_keyframes"), "elem_classes": [f"{PREFIX}-tool"], "size": "sm"}
            upload = gr.UploadButton("📁 Upload", file_count="multiple", file_types=["image"], **look)
            button = unsaved(gr.Button("Show the pictures", size="sm", elem_id=self._id("show_keyframes")))
        shown = unsaved(gr.HTML("", elem_id=self._id("keyframe_gallery")))
        names = ("keyframes", "video_length", "batch_size")
        text, length, window = (self.components[name] for name in names)

        def add(
            uploads: object, text: str, num_frames: float | None, window: float | None
        ) -> tuple[str, str]:
            changed = with_uploads(text, uploaded_paths(uploads), num_frames, window)
            return changed, show(changed)

        def show(text: str) -> str:
            return show_keyframes(text, partial(readable_path, is_api=False))

        inputs = [unsaved(upload), text, length, window]
        upload.upload(add, inputs=inputs, outputs=[text, shown], show_progress="hidden")
        button.click(show, inputs=[text], outputs=[shown], show_progress="hidden")

    def _build_actions(self) -> None:
        with gr.Row(elem_classes=[f"{PREFIX}-actions"]):
            preview = unsaved(gr.Button("Preview plan", size="sm", elem_id=self._id("preview")))
            close = gr.Button("Close preview", size="sm", visible=False, elem_id=self._id("preview_close"))
        plan = unsaved(gr.HTML("", elem_id=self._id("plan")))
        self._connect_preview(preview, unsaved(close), plan)
        self._build_reading_back()

    def _connect_preview(self, preview: gr.Button, close: gr.Button, plan: gr.HTML) -> None:
        """The page's script adds prompts and steps, which are the host's fields."""
        sent = [field for field in FIELDS if field.kind is not Kind.IMAGE]
        page = unsaved(gr.Textbox(visible=False, elem_id=self._id("page")))
        components = [self.components[field.name] for field in sent]

        def show(page_fields: str, *values: object) -> tuple[str, object]:
            return self._preview(sent, values, page_fields), gr.update(visible=True)

        script = with_script(f"(...values) => animatediffWithPrompts({self.tab!r}, values)")
        shown = [plan, close]
        preview.click(show, inputs=[page, *components], outputs=shown, show_progress="hidden", **script)
        close.click(lambda: ("", gr.update(visible=False)), outputs=shown, show_progress="hidden")

    def _preview(self, fields: list[Field], values: tuple[object, ...], page: str) -> str:
        named = {field.name: value for field, value in zip(fields, values, strict=False)}
        model = named.get("model")
        try:
            listed, path = self.modules.find(str(model) if model else None)
        except UserError as error:
            return warning_html(str(error))
        readable = partial(readable_path, is_api=False)
        return preview_plan(named, describe_module(listed, path).spec, read_prompt_fields(page), readable)

    def _build_reading_back(self) -> None:
        with gr.Accordion("Read settings from a video", open=False, elem_classes=[f"{PREFIX}-group"]):
            unsaved(gr.HTML(f'<div class="{PREFIX}-note">{READ_BACK_NOTE}</div>'))
            file = unsaved(gr.File(label="Video", elem_id=self._id("read_video")))
            status = unsaved(gr.HTML("", elem_id=self._id("read_status")))
            infotext = unsaved(gr.Textbox(visible=False, elem_id=self._id("read_infotext")))
        read = file.upload(read_back, inputs=[file], outputs=[infotext, status], show_progress="hidden")
        script = with_script(f"(text) => animatediffPaste({self.tab!r}, text)")
        read.then(fn=None, inputs=[infotext], outputs=None, show_progress="hidden", **script)


def read_back(upload: object) -> tuple[str, str]:
    """The infotext of an uploaded file, and what to say about it."""
    path = uploaded_path(upload)
    if path is None:
        return "", ""
    try:
        infotext = read_infotext(path)
    except (MediaError, OSError) as error:
        return "", warning_html(str(error))
    if not infotext:
        return "", warning_html(f"{path.name} holds no settings: choose a file that was saved with them.")
    return infotext, f'<div class="{PREFIX}-note">Read from {html.escape(path.name)}.</div>'


def _path_text(upload: object) -> str:
    return str(uploaded_path(upload) or "")


Arguments = dict[str, object]
_MOST_LINES = 8


def _build_number(widget: Widget, common: Arguments) -> Component:
    number = gr.Number(**common, precision=0 if widget.is_whole else None, min_width=100)
    if widget.zero_is_empty:
        empty_at_zero(number)
    return number


def _build_slider(widget: Widget, common: Arguments) -> Component:
    return gr.Slider(**common, minimum=widget.minimum, maximum=widget.maximum, step=widget.step)


_BUILDERS: dict[WidgetKind, Callable[[Widget, Arguments], Component]] = {
    WidgetKind.NUMBER: _build_number,
    WidgetKind.SLIDER: _build_slider,
    WidgetKind.TEXTBOX: lambda widget, common: gr.Textbox(
        **common, lines=widget.lines, max_lines=_MOST_LINES if widget.lines > 1 else 1
    ),
    WidgetKind.CHECKBOX: lambda widget, common: gr.Checkbox(**common),
    WidgetKind.RADIO: lambda widget, common: gr.Radio(**common, choices=list(widget.choices)),
    WidgetKind.DROPDOWN: lambda widget, common: gr.Dropdown(**common, choices=list(widget.choices)),
    WidgetKind.MULTISELECT: lambda widget, common: gr.Dropdown(
        **common, choices=list(widget.choices), multiselect=True
    ),
}
