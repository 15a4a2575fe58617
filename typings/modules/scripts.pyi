from collections.abc import Sequence

from animatediff_webui.hosts.webui.host_types import ScriptData, ScriptRunner

AlwaysVisible: object
scripts_data: list[ScriptData]
scripts_img2img: ScriptRunner

class Script:
    args_from: int
    args_to: int
    infotext_fields: Sequence[tuple[object, object]] | None

def basedir() -> str: ...
