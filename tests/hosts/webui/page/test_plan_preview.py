from pathlib import Path

from PIL import Image

from animatediff_webui.hosts.webui.page.plan_preview import PromptFields, preview_plan, read_prompt_fields
from motion_module import MotionModuleSpec


def test_preview_draws_windows_and_keyframes():
    page = PromptFields("a cat\n0: spring\n20: <autumn>", "", 10)
    text = preview_plan({"video_length": 24}, MotionModuleSpec(), page, Path)
    assert text.startswith("<pre")
    assert "24 generated" in text
    assert "in 10 steps" in text
    assert "&lt;autumn&gt;" in text


def test_preview_of_a_value_out_of_range_is_its_sentence():
    text = preview_plan({"batch_size": 99}, MotionModuleSpec(), PromptFields(), Path)
    assert "animatediff-warning" in text
    assert "batch_size is 99" in text


def test_preview_of_a_keyframe_past_the_end_is_its_sentence():
    text = preview_plan({"video_length": 16}, MotionModuleSpec(), PromptFields("0: a\n40: b"), Path)
    assert "40" in text
    assert "animatediff-warning" in text


def test_preview_tells_of_the_source_and_is_as_long_as_it(tmp_path):
    for index in range(6):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{index}.png")
    values = {"video_path": str(tmp_path), "video_start": 1, "keyframes": f"0={tmp_path / '0.png'}"}
    text = preview_plan({**values, "batch_size": 4}, MotionModuleSpec(), PromptFields(), Path)
    assert f"the source ({tmp_path.name}): 5 frames" in text
    assert "5 generated" in text
    assert "of frames 0" in text


def test_preview_draws_the_way_of_a_pose_file_and_says_what_is_wrong_with_it(tmp_path):
    lines = [f"{frame} 0.5 0.9 0.5 0.5 0 0 1 0 0 {-frame} 0 1 0 0 0 0 1 0" for frame in range(16)]
    (tmp_path / "poses.txt").write_text("\n".join(lines))
    values = {"camera_model": "CameraCtrl.ckpt", "camera_poses": str(tmp_path / "poses.txt")}
    assert "right, 0 to 15" in preview_plan(values, MotionModuleSpec(), PromptFields(), Path)
    (tmp_path / "poses.txt").write_text(lines[0])
    found = preview_plan(values, MotionModuleSpec(), PromptFields(), Path)
    assert "camera_poses has 1 cameras, but 16 frames are generated" in found


def test_prompt_fields_are_read_from_what_the_page_sends():
    sent = '{"prompt": "a", "negative_prompt": "b", "steps": "7"}'
    assert read_prompt_fields(sent) == PromptFields("a", "b", 7)
    assert read_prompt_fields("") == PromptFields()
    assert read_prompt_fields("undefined") == PromptFields()
