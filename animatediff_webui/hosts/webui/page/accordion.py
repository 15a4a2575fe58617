"""The accordion in txt2img and img2img."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import gradio as gr

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import FIELDS, NOT_YET, Kind, Parameters
from animatediff_webui.media import MediaError, read_infotext

from .checkpoints import chosen_base_model
from .compatibility import empty_at_zero, image, row, tool_button, unsaved, uploaded_path, with_script
from .module_info import describe_module
from .plan_preview import preview_plan, read_prompt_fields, warning_html
from .widgets import LAYOUT, PREFIX, Group, Widget, WidgetKind, build_widgets

# gradio's classes are built at run time, and the host changes them: Any.


class Modules(Protocol):
    """The motion modules that the page lists."""

    @property
    def loaded(self) -> Any: ...
    def names(self) -> list[str]: ...
    def find(self, name: str | None) -> tuple[str, Path]: ...
    def move_to_cpu(self) -> None: ...
    def unload(self) -> None: ...


class Host(Protocol):
    """What the accordion needs of the extension around it."""

    @property
    def modules(self) -> Modules: ...


def build_accordion(is_img2img: bool, host: Host, defaults: Parameters | None = None) -> list[Any]:
    """Build it, and return its components: one for each parameter, in the order of the parameter table."""
    return _Accordion("img2img" if is_img2img else "txt2img", host.modules, defaults or _defaults()).build()


def _defaults() -> Parameters:
    """What Settings say, where there are any."""
    try:
        from modules import shared
    except ImportError:
        return Parameters()
    from animatediff_webui.hosts.webui.settings import read_settings

    try:
        return read_settings(shared.opts).defaults()
    except (UserError, MediaError):
        return Parameters()  # the run itself says what is wrong


class _Accordion:
    """One tab's; the components it makes live as long as the page."""

    def __init__(self, tab: str, modules: Modules, defaults: Parameters) -> None:
        self.tab, self.modules = tab, modules
        self.widgets = {each.name: each for each in build_widgets(modules.names(), defaults)}
        self.components: dict[str, Any] = {}

    def build(self) -> list[Any]:
        with gr.Accordion("AnimateDiff", open=False, elem_id=self._id("accordion"), elem_classes=[PREFIX]):
            for group in LAYOUT:
                self._build_group(group)
            self._build_actions()
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

    def _build_component(self, widget: Widget) -> Any:
        common = {
            "label": widget.label,
            "elem_id": self._id(widget.name),
            "interactive": widget.interactive,
        }
        if widget.kind is WidgetKind.IMAGE:
            return image(**common, height=240)
        common |= {"value": widget.value, "info": widget.info or None}
        if widget.kind is WidgetKind.NUMBER:
            number = gr.Number(**common, precision=0 if widget.is_whole else None, min_width=100)
            return empty_at_zero(number) if widget.zero_is_empty else number
        if widget.kind is WidgetKind.SLIDER:
            bounds = {"minimum": widget.minimum, "maximum": widget.maximum, "step": widget.step}
            return gr.Slider(**common, **bounds)
        if widget.kind is WidgetKind.TEXTBOX:
            return gr.Textbox(**common, lines=1, max_lines=1)
        if widget.kind is WidgetKind.CHECKBOX:
            return gr.Checkbox(**common)
        if widget.kind is WidgetKind.RADIO:
            return gr.Radio(**common, choices=list(widget.choices))
        multiselect = widget.kind is WidgetKind.MULTISELECT
        return gr.Dropdown(**common, choices=list(widget.choices), multiselect=multiselect or None)

    # The motion module

    def _build_module_buttons(self) -> None:
        tooltips = ("Look for motion modules again", "Move to CPU", "Remove from memory")
        names = ("refresh", "move_to_cpu", "unload")
        self._refresh, self._to_cpu, self._unload = (
            tool_button(sign, self._id(name), tooltip)
            for sign, name, tooltip in zip(("🔄", "📤", "⏏️"), names, tooltips, strict=True)
        )

    def _build_module_info(self) -> None:
        """The line below the list. The page's script clicks the hidden button on loading, and when the
        checkpoint changes; it tells that checkpoint's title through the hidden text."""
        info = unsaved(gr.HTML("", elem_id=self._id("module_info")))
        title = unsaved(gr.Textbox(visible=False, elem_id=self._id("checkpoint")))
        check = unsaved(gr.Button("Check", visible=False, elem_id=self._id("check")))
        model = self.components["model"]
        describe = {"inputs": [model, title], "outputs": [info], "show_progress": "hidden"}
        script = with_script("animatediffWithCheckpoint")
        model.change(self._describe, **describe, **script)
        check.click(self._describe, **describe, **script)
        listed = self._refresh.click(self._relist, inputs=[model], outputs=[model], show_progress="hidden")
        listed.then(self._describe, **describe, **script)
        self._to_cpu.click(self._move_to_cpu, **describe, **script)
        self._unload.click(self._remove, **describe, **script)

    def _relist(self, chosen: str | None) -> Any:
        names = self.modules.names()
        return gr.update(choices=names, value=chosen if chosen in names else next(iter(names), None))

    def _describe(self, name: str | None, checkpoint_title: str) -> str:
        try:
            listed, path = self.modules.find(name or None)
        except UserError as error:
            return warning_html(str(error))
        return describe_module(
            listed, path, chosen_base_model(checkpoint_title), self._place(listed)
        ).to_html()

    def _place(self, name: str) -> str:
        """Where the module is, if it is in memory."""
        module = self.modules.loaded
        if module is None or module.name != name:
            return ""
        return f"in memory ({next(module.parameters()).device.type})"

    def _move_to_cpu(self, name: str | None, checkpoint_title: str) -> str:
        self.modules.move_to_cpu()
        return self._describe(name, checkpoint_title)

    def _remove(self, name: str | None, checkpoint_title: str) -> str:
        self.modules.unload()
        return self._describe(name, checkpoint_title)

    # Files

    def _build_upload(self) -> None:
        if "video_source" in NOT_YET:
            return
        button = unsaved(gr.UploadButton("Upload", file_types=["video", "image"], elem_id=self._id("upload")))
        button.upload(
            lambda upload: str(uploaded_path(upload) or ""),
            inputs=[button],
            outputs=[self.components["video_source"]],
        )

    def _build_actions(self) -> None:
        with gr.Row(elem_classes=[f"{PREFIX}-actions"]):
            preview = unsaved(gr.Button("Preview plan", size="sm", elem_id=self._id("preview")))
            clear = unsaved(
                gr.Button("Close preview", size="sm", visible=False, elem_id=self._id("preview_close"))
            )
        plan = unsaved(gr.HTML("", elem_id=self._id("plan")))
        self._connect_preview(preview, clear, plan)
        self._build_reading_back()

    def _connect_preview(self, preview: Any, clear: Any, plan: Any) -> None:
        """The page's script adds prompts and steps, which are the host's fields."""
        sent = [field for field in FIELDS if field.kind not in (Kind.IMAGE, Kind.PATH)]
        page = unsaved(gr.Textbox(visible=False, elem_id=self._id("page")))

        def show(page_fields: str, *values: Any) -> tuple[str, Any]:
            named = {field.name: value for field, value in zip(sent, values, strict=False)}
            return self._preview(named, page_fields), gr.update(visible=True)

        preview.click(
            show,
            inputs=[page, *(self.components[field.name] for field in sent)],
            outputs=[plan, clear],
            show_progress="hidden",
            **with_script(f"(...values) => animatediffWithPrompts({self.tab!r}, values)"),
        )
        clear.click(lambda: ("", gr.update(visible=False)), outputs=[plan, clear], show_progress="hidden")

    def _preview(self, values: Mapping[str, Any], page: str) -> str:
        try:
            listed, path = self.modules.find(values.get("model"))
        except UserError as error:
            return warning_html(str(error))
        info = describe_module(listed, path)
        return preview_plan(values, info.spec, read_prompt_fields(page))

    def _build_reading_back(self) -> None:
        with gr.Accordion("Read settings from a video", open=False, elem_classes=[f"{PREFIX}-group"]):
            note = (
                "Drop a GIF, WEBP, MP4, WEBM, APNG or AVIF that was made here: prompt and settings come back."
            )
            unsaved(gr.HTML(f'<div class="{PREFIX}-note">{note}</div>'))
            file = unsaved(gr.File(label="Video", elem_id=self._id("read_video")))
            status = unsaved(gr.HTML("", elem_id=self._id("read_status")))
            infotext = unsaved(gr.Textbox(visible=False, elem_id=self._id("read_infotext")))
        file.upload(read_back, inputs=[file], outputs=[infotext, status], show_progress="hidden").then(
            fn=None, inputs=[infotext], **with_script(f"(text) => animatediffPaste({self.tab!r}, text)")
        )


def read_back(upload: Any) -> tuple[str, str]:
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
