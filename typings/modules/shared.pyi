import torch

from animatediff_webui.hosts.webui.host_types import CommandLine, Options, SdModel, SettingRow, State, Styles

cmd_opts: CommandLine
demo: object
device: torch.device
opts: Options
prompt_styles: Styles
sd_model: SdModel
state: State

class OptionInfo(SettingRow):
    def __init__(
        self,
        default: object = None,
        label: str = "",
        component: object = None,
        component_args: object = None,
        onchange: object = None,
        section: tuple[str, str] | None = None,
    ) -> None: ...
    def info(self, info: str) -> SettingRow: ...
