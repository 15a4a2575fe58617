from animatediff_webui.core.parameters import FIELDS, Kind, Parameters, parse_parameters, to_api
from animatediff_webui.hosts.webui.page.widgets import LAYOUT, WidgetKind, build_widgets


def test_widgets_are_one_for_each_field_in_table_order():
    assert [widget.name for widget in build_widgets()] == [field.name for field in FIELDS]


def test_layout_places_every_parameter_once():
    placed = [name for group in LAYOUT for name in group.names]
    assert sorted(placed) == sorted(field.name for field in FIELDS)


def test_widgets_have_labels_of_their_own_for_ui_config():
    labels = [widget.label for widget in build_widgets()]
    assert len(set(labels)) == len(labels)


def test_widgets_values_unchanged_parse_to_the_defaults():
    values = {widget.name: widget.value for widget in build_widgets() if widget.name != "model"}
    assert parse_parameters(values) == Parameters()


def test_widgets_start_with_what_settings_say():
    defaults = parse_parameters({"format": ["MP4", "WEBM"], "overlap": 2})
    widgets = {widget.name: widget for widget in build_widgets(defaults=defaults)}
    assert widgets["format"].value == ["MP4", "WEBM"]
    assert widgets["overlap"].value == 2


def test_model_widget_lists_the_modules_and_starts_with_the_first():
    widgets = {widget.name: widget for widget in build_widgets(["a.ckpt", "b/c.safetensors"])}
    assert widgets["model"].choices == ("a.ckpt", "b/c.safetensors")
    assert widgets["model"].value == "a.ckpt"
    assert {widget.name: widget for widget in build_widgets()}["model"].value is None


def test_choices_are_texts_that_parse_back():
    for widget in build_widgets():
        if widget.kind is WidgetKind.MULTISELECT and widget.name != "format":
            chosen = parse_parameters({widget.name: list(widget.choices)})
            assert [str(each) for each in to_api(chosen)[widget.name]] == list(widget.choices)


def test_widgets_keep_their_fields_bounds():
    for field, widget in zip(FIELDS, build_widgets(), strict=True):
        if widget.kind is WidgetKind.SLIDER:
            assert (widget.minimum, widget.maximum) == (field.minimum, field.maximum)
        assert widget.is_whole == (field.kind is Kind.INTEGER)
        assert widget.info or field.kind is Kind.MODEL


def test_widgets_that_share_a_row_have_short_help():
    """What else there is to know is a tooltip: a long text would push its neighbours out of line."""
    infos = {widget.name: widget.info for widget in build_widgets()}
    shared = [name for group in LAYOUT for row in group.rows if len(row) > 1 for name in row]
    assert {name: len(infos[name]) for name in shared if len(infos[name]) > 90} == {}
