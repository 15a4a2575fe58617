from collections.abc import Callable, Sequence

class Dependency:
    def then(
        self,
        fn: Callable[..., object] | None,
        inputs: Sequence[Component] = ...,
        outputs: Sequence[Component] | None = None,
        show_progress: str = "full",
        **scripts: str,
    ) -> Dependency: ...

class Component:
    elem_id: str | None
    value: object
    visible: bool
    do_not_save_to_config: bool
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def change(
        self,
        fn: Callable[..., object],
        inputs: Sequence[Component],
        outputs: Sequence[Component],
        show_progress: str = ...,
        **scripts: str,
    ) -> Dependency: ...
    def click(
        self,
        fn: Callable[..., object],
        inputs: Sequence[Component] = ...,
        outputs: Sequence[Component] = ...,
        show_progress: str = ...,
        **scripts: str,
    ) -> Dependency: ...
    def upload(
        self,
        fn: Callable[..., object],
        inputs: Sequence[Component],
        outputs: Sequence[Component],
        show_progress: str = ...,
    ) -> Dependency: ...
