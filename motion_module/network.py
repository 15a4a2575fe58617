"""The temporal transformer of AnimateDiff (Guo et al., arXiv 2307.04725), under its official names.

Hidden states come and go as `(b f) c h w`. In between they are tokens `f r c`, one row for each clip and
spatial position: attention runs over the frames of one row, and everything else acts on single tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from motion_module.attention import Inputs
from motion_module.autocast import without_autocast
from motion_module.control import Reference, View
from motion_module.kernels.switch import runs_kernels
from motion_module.layers import GroupNorm, LayerNorm, Linear, ZeroLinear
from motion_module.positions import build_positions
from motion_module.products import gate, gated_linear
from motion_module.runtime import Kept, Runtime
from motion_module.spec import NORM_GROUPS, MotionModuleSpec


class PositionEncoding(nn.Module):
    """Adds to each token `f r c` the encoding of its frame."""

    pe: Tensor

    def __init__(self, channels: int, num_positions: int, stored: bool) -> None:
        super().__init__()
        self.register_buffer("pe", build_positions(num_positions, channels), persistent=stored)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + rearrange(self.pe[:, : len(tokens)], "1 f c -> f 1 c")

    def after(self, norm: LayerNorm, tokens: Tensor) -> Tensor:
        """The same, added to what the norm makes of the tokens."""
        if not runs_kernels(tokens):
            return self(norm(tokens))
        from motion_module.kernels.norms import norm_at_positions

        return norm_at_positions(tokens, norm.weight, norm.bias, self.pe[0, : len(tokens)], norm.eps)


class TemporalAttention(nn.Module):
    """Self-attention over the frames of one spatial position; `merges` change its tokens before."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.to_q = Linear(channels, channels, bias=False)
        self.to_k = Linear(channels, channels, bias=False)
        self.to_v = Linear(channels, channels, bias=False)
        self.to_out = nn.ModuleList([Linear(channels, channels)])
        self.pos_encoder = PositionEncoding(channels, spec.max_context_length, spec.stored_positions)
        self.num_heads = spec.num_heads
        self.runtime = runtime
        self.merges: list[Callable[[Tensor], Tensor]] = []

    def forward(self, tokens: Tensor, norm: LayerNorm, scale: Tensor | None = None) -> Tensor:
        """`f r c` to the same, added to it, of what the norm makes of it; `scale`, `f|1 r|1 1`, multiplies
        the keys."""
        views = self.runtime.control.views
        if views:
            attended = self.attend_in_views(norm(tokens), scale, views)
        else:
            attended = self.attend(self.pos_encoder.after(norm, tokens), scale)
        return self.to_out[0](attended, added_to=tokens)

    def attend(self, tokens: Tensor, scale: Tensor | None) -> Tensor:
        """Of tokens that have their positions."""
        for merge in self.merges:
            tokens = merge(tokens)
        inputs = Inputs(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens), self.num_heads, scale)
        reference = self.runtime.control.reference
        if reference is not None:
            inputs = self.with_reference(inputs, reference)
        return self.runtime.attention.attend(inputs)

    def with_reference(self, inputs: Inputs, reference: Reference) -> Inputs:
        """What attends to the window's own frames, and to those that were kept of the first window."""
        query, key, value = inputs.query, inputs.scaled_key, inputs.value
        if reference.is_first:
            self.runtime.kept.setdefault(self, Kept()).add(key, value)
        if reference.is_first or self not in self.runtime.kept:
            return Inputs(query, key, value, self.num_heads)
        keys, values = self.runtime.kept[self].of(self.runtime.rows)
        counts = [1.0] * len(key) + [reference.strength] * len(keys)
        weights = None if reference.strength == 1 else torch.tensor(counts, device=key.device)
        key, value = torch.cat([key, keys]), torch.cat([value, values])
        return Inputs(query, key, value, self.num_heads, weights=weights)

    def attend_in_views(self, tokens: Tensor, scale: Tensor | None, views: Sequence[View]) -> Tensor:
        """The mean of what each view's frames see of each other, weighted frame by frame."""
        attended = torch.zeros_like(tokens)
        for view in views:
            frames = list(view.frames)
            seen = scale if scale is None or len(scale) == 1 else scale[frames]
            with self.runtime.narrowed(view.frames):
                part = self.attend(self.pos_encoder(tokens[frames]), seen)
            attended[frames] += part * rearrange(part.new_tensor(view.weights), "f -> f 1 1")
        return attended


class GatedProjection(nn.Module):
    """A projection of which one half gates the other; a LoRA adds to both."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = Linear(channels, 2 * out_channels)

    def forward(self, tokens: Tensor) -> Tensor:
        if runs_kernels(tokens):
            from motion_module.kernels.gates import gate as gate_in_one_pass

            return gate_in_one_pass(self.proj(tokens))
        if self.proj.additions:
            return gate(self.proj(tokens))
        return gated_linear(tokens, self.proj.weight, self.proj.bias)


class FeedForward(nn.Module):
    """C -> 4C, gated -> C; the Identity stands where the official network has its dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [GatedProjection(channels, 4 * channels), nn.Identity(), Linear(4 * channels, channels)]
        )

    def forward(self, tokens: Tensor, added_to: Tensor) -> Tensor:
        gated, _, projected = self.net
        return projected(gated(tokens), added_to=added_to)


class TemporalBlock(nn.Module):
    """Attention over frames (twice, as published), then a feed-forward; each adds to what was before it."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        count = spec.num_attention_blocks
        self.attention_blocks = nn.ModuleList(
            TemporalAttention(channels, spec, runtime) for _ in range(count)
        )
        self.norms = nn.ModuleList(LayerNorm(channels) for _ in range(count))
        self.ff = FeedForward(channels)
        self.ff_norm = LayerNorm(channels)

    def forward(self, tokens: Tensor, scale: Tensor | None = None) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            tokens = attention(tokens, norm, scale)
        return self.ff(self.ff_norm(tokens), added_to=tokens)


class TemporalTransformer(nn.Module):
    """What a site adds to its hidden states: a norm per frame, a projection, blocks, a projection."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.norm = GroupNorm(NORM_GROUPS, channels, eps=1e-6)
        self.proj_in = Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            TemporalBlock(channels, spec, runtime) for _ in range(spec.num_transformer_blocks)
        )
        self.proj_out = ZeroLinear(channels, channels)
        self.runtime = runtime

    def forward(self, hidden: Tensor) -> Tensor:
        """`(b f) c h w` -> the addition."""
        num_frames, (height, width) = self.runtime.count_frames(hidden), hidden.shape[2:]
        self.runtime.size = (height, width)
        clips = rearrange(self.norm(hidden), "(b f) c h w -> b f c (h w)", f=num_frames)
        scale = self.attention_scale(height, width, clips)
        if torch.is_grad_enabled():
            self.runtime.rows, self.runtime.clips = slice(None), range(len(clips))
            clips = self.transform(clips, self.scale_of_clips(scale))
        else:
            place = row = 0
            for piece in self.runtime.pieces.split(clips):
                places = slice(place, place + piece.shape[-1])
                self.runtime.rows = slice(row, row + len(piece) * piece.shape[-1])
                first = row // clips.shape[-1]
                self.runtime.clips = range(first, first + len(piece))
                row = self.runtime.rows.stop
                seen = self.scale_of_clips(scale if scale is None else scale[..., places])
                # In its own place, which nothing reads again.
                piece.copy_(self.transform(piece, seen))
                place = places.stop % clips.shape[-1]
        return rearrange(clips, "b f c (h w) -> (b f) c h w", h=height, w=width)

    def attention_scale(self, height: int, width: int, like: Tensor) -> Tensor | None:
        """What the keys are multiplied by, of one clip or of several `b f|1 p`; None where they are not."""
        scale = self.runtime.control.scale
        if scale is None:
            return None
        frames = scale.over(height, width, like).expand(-1, height, width)
        return rearrange(frames, "(b f) h w -> b f (h w)", f=min(len(frames), like.shape[1]))

    def scale_of_clips(self, scale: Tensor | None) -> Tensor | None:
        """Of `b f|1 p`, that of the clips which go through the layer now."""
        return scale if scale is None else scale[self.runtime.clips_among(len(scale))]

    def transform(self, clips: Tensor, scale: Tensor | None = None) -> Tensor:
        """`b f c p` -> the same, of which the places p are any; `scale` is theirs, `b f|1 p`."""
        rows = None if scale is None else rearrange(scale, "b f p -> f (b p) 1")
        # Contiguous, because a rearrangement is a view, which the linear layers are slow on.
        tokens = rearrange(clips, "b f c p -> f (b p) c").contiguous()
        tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens, rows)
        return rearrange(self.proj_out(tokens), "f (b p) c -> b f c p", b=len(clips))


class MotionLayer(nn.Module):
    """A site's temporal layer: `(b f) c h w` to the same, in the hidden states' dtype and on their device."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, spec, runtime)

    def forward(self, hidden: Tensor, strength: float = 1.0, picture: Tensor | None = None) -> Tensor:
        """`strength` is how much of the addition counts at this site; `picture` is added first, in rows."""
        weight = self.temporal_transformer.proj_in.weight
        control = self.temporal_transformer.runtime.control
        if control.is_idle:
            return hidden
        if weight.device != hidden.device:
            self.to(hidden.device)
        if hidden.device.type == "cpu":
            # ldm's transformers return channels-last views, for which every later convolution would convert
            # its weights, at each call.
            hidden = hidden.contiguous()
        with without_autocast(hidden.device):
            shown = hidden if picture is None else hidden + picture
            added = self.temporal_transformer(shown.to(weight.dtype)).to(hidden.dtype)
            if picture is not None:
                added = added + picture
            if control.effect is not None:
                added = added * control.effect.rows(added)
            if strength != 1:
                added = added * strength
            return added.add_(hidden)
