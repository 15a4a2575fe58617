"""Prompts are scheduled by `[before:after:step]`, and joined by AND."""

import re
from collections import namedtuple

import torch

ScheduledPromptConditioning = namedtuple("ScheduledPromptConditioning", ["end_at_step", "cond"])
_SCHEDULED = re.compile(r"\[([^:\]]*):([^:\]]*):(\d+)\]")


class ComposableScheduledPromptConditioning:
    def __init__(self, schedules, weight=1.0):
        self.schedules, self.weight = schedules, weight


class MulticondLearnedConditioning:
    def __init__(self, shape, batch):
        self.shape, self.batch = shape, batch


class DictWithShape(dict):
    def __init__(self, x, shape=None):
        super().__init__(x)

    @property
    def shape(self):
        return self["crossattn"].shape


def get_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    res, cache = [], {}
    for prompt in prompts:
        if prompt not in cache:
            found = _SCHEDULED.search(prompt)
            ends = [int(found[3]), steps] if found else [steps]
            texts = [_SCHEDULED.sub(rf"\{group}", prompt) for group in (1, 2)][: len(ends)]
            conds = model.get_learned_conditioning(texts if found else [prompt])
            cache[prompt] = [
                ScheduledPromptConditioning(
                    end,
                    {key: values[i] for key, values in conds.items()}
                    if isinstance(conds, dict)
                    else conds[i],
                )
                for i, end in enumerate(ends)
            ]
        res.append(cache[prompt])
    return res


def get_multicond_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    batch = []
    for prompt in prompts:
        parts = []
        for part in re.split(r"\bAND\b", prompt):
            text, _, weight = part.rpartition(":") if re.search(r":\s*[\d.]+\s*$", part) else (part, "", "1")
            (schedule,) = get_learned_conditioning(model, [text.strip()], steps)
            parts.append(ComposableScheduledPromptConditioning(schedule, float(weight)))
        batch.append(parts)
    return MulticondLearnedConditioning(shape=(len(prompts),), batch=batch)


def _at(schedule, current_step):
    return next((entry.cond for entry in schedule if current_step <= entry.end_at_step), schedule[0].cond)


def _stacked(conds):
    if isinstance(conds[0], dict):
        return DictWithShape({key: _stacked([cond[key] for cond in conds]) for key in conds[0]})
    longest = max(len(cond) for cond in conds)
    if conds[0].ndim > 1:
        conds = [torch.cat([cond, cond[-1:].repeat(longest - len(cond), 1)]) for cond in conds]
    return torch.stack(conds)


def reconstruct_cond_batch(c, current_step):
    return _stacked([_at(schedule, current_step) for schedule in c])


def reconstruct_multicond_batch(c, current_step):
    conds_list, tensors = [], []
    for parts in c.batch:
        conds_list.append([(len(tensors) + i, part.weight) for i, part in enumerate(parts)])
        tensors += [_at(part.schedules, current_step) for part in parts]
    return conds_list, _stacked(tensors)
