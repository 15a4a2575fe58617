"""Run by the WebUI before it starts: installs what is missing, and changes nothing else."""

import importlib.util

REQUIRED = {
    "einops": "einops",
    "safetensors": "safetensors",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "av": "av",
    "filelock": "filelock",
}


def missing_packages() -> list[str]:
    """The packages, by their names on PyPI, that cannot be imported."""
    return [package for module, package in REQUIRED.items() if importlib.util.find_spec(module) is None]


def install_missing() -> None:
    """Without their dependencies, which every WebUI has: so nothing that is there gets another version."""
    import launch

    for package in missing_packages():
        launch.run_pip(f"install --no-deps {package}", f"{package} for AnimateDiff")


if __name__ in ("__main__", "__console__"):
    install_missing()
