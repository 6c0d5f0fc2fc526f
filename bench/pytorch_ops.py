"""PyTorch's own ops beside those of op_bench, in the same shapes: what bench/compare_pytorch.py --ops starts.

weighted_bag   embedding_bag, mode sum, with per-sample weights; its gradient for the table is dense, as here
attention      scaled_dot_product_attention in fp32; attention_bf16 in bf16, as PyTorch's users run it
The case comes as the name that op_bench prints, and says whether it is the backward.
"""
import re
import time

import torch
import torch.nn.functional as F

BAG = re.compile(r"weighted_bag/(\d+) tokens x (\d+) of (\d+)x(\d+)(/backward)?$")
ATTENTION = re.compile(r"attention(_bf16)?/B(\d+) Tq(\d+) Tk(\d+) H(\d+) G(\d+) D(\d+)(, causal)?, std 1(/backward)?$")


def median_seconds(body, device, seconds):
    """Median over rounds that fill about `seconds`; on a GPU by events, ten runs in a row."""
    runs = 10 if device == "cuda" else 1
    body()
    taken, begin = [], time.perf_counter()
    while len(taken) < 3 or time.perf_counter() - begin < seconds:
        if device == "cuda":
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(runs):
                body()
            end.record()
            end.synchronize()
            taken.append(start.elapsed_time(end) * 1e-3 / runs)
        else:
            start = time.perf_counter()
            body()
            taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]


def forward_or_backward(run, inputs, backward):
    if not backward:
        def forward():
            with torch.no_grad():
                run()
        return forward
    y = run()
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def bag_case(match):
    tokens, reads, slots, columns = (int(text) for text in match.groups()[:4])
    values = torch.randn(slots, columns, requires_grad=True)
    weights = torch.randn(tokens, reads, requires_grad=True)
    index = torch.randint(slots, (tokens, reads))
    run = lambda: F.embedding_bag(index, values, mode="sum", per_sample_weights=weights)
    return forward_or_backward(run, (values, weights), match.group(5) is not None)


def attention_case(match):
    dtype = torch.bfloat16 if match.group(1) else torch.float32
    batch, queries, keys, heads, groups, size = (int(text) for text in match.groups()[1:7])
    draw = lambda count, length: torch.randn(batch, count, length, size, dtype=dtype, requires_grad=True)
    q, k, v = draw(heads, queries), draw(groups, keys), draw(groups, keys)
    # No fused kernel of PyTorch takes both fp32 and enable_gqa: repeated groups are its faster way there.
    repeats = heads // groups if dtype == torch.float32 else 1
    spread = lambda x: x.repeat_interleave(repeats, 1) if repeats > 1 else x
    run = lambda: F.scaled_dot_product_attention(q, spread(k), spread(v), is_causal=match.group(8) is not None,
                                                 enable_gqa=repeats == 1 and heads != groups)
    return forward_or_backward(run, (q, k, v), match.group(9) is not None)


def prepare(name):
    """The body of a case of op_bench in PyTorch, or None where it has no such op."""
    for pattern, make in ((BAG, bag_case), (ATTENTION, attention_case)):
        match = pattern.match(name)
        if match:
            return make(match)
    return None


def measure(names, device, seconds):
    """{name: {"seconds": ...}} of those that PyTorch has."""
    out = {}
    for name in names:
        body = prepare(name)
        if body is not None:
            out[name] = {"seconds": median_seconds(body, device, seconds)}
    return out
