"""PyTorch's own ops beside those of op_bench, in the same shapes: what bench/compare_pytorch.py --ops starts.

weighted_bag   embedding_bag, mode sum, with per-sample weights; its gradient for the table is dense, as here
attention      scaled_dot_product_attention, fp32 as here; on a GPU also bf16, as PyTorch's users run it
The case comes as the name that op_bench prints, and says whether it is the backward.
"""
import re
import time

import torch
import torch.nn.functional as F

BAG = re.compile(r"weighted_bag/(\d+) tokens x (\d+) of (\d+)x(\d+)(/backward)?$")
ATTENTION = re.compile(r"attention/B(\d+) Tq(\d+) Tk(\d+) H(\d+) G(\d+) D(\d+)(, causal)?, std 1(/backward)?$")


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


def bag_case(match, dtype):
    tokens, reads, slots, columns = (int(text) for text in match.groups()[:4])
    values = torch.randn(slots, columns, dtype=dtype, requires_grad=True)
    weights = torch.randn(tokens, reads, dtype=dtype, requires_grad=True)
    index = torch.randint(slots, (tokens, reads))
    run = lambda: F.embedding_bag(index, values, mode="sum", per_sample_weights=weights)
    return forward_or_backward(run, (values, weights), match.group(5) is not None)


def attention_case(match, dtype):
    batch, queries, keys, heads, groups, size = (int(text) for text in match.groups()[:6])
    draw = lambda count, length: torch.randn(batch, count, length, size, dtype=dtype, requires_grad=True)
    q, k, v = draw(heads, queries), draw(groups, keys), draw(groups, keys)
    run = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=match.group(7) is not None,
                                                 enable_gqa=heads != groups)
    return forward_or_backward(run, (q, k, v), match.group(8) is not None)


def prepare(name, dtype=torch.float32):
    """The body of a case of op_bench in PyTorch, or None where it has no such op."""
    for pattern, make in ((BAG, bag_case), (ATTENTION, attention_case)):
        match = pattern.match(name)
        if match:
            return make(match, dtype)
    return None


def measure(names, device, seconds):
    """{name: {"seconds": ..., "seconds_bf16": on a GPU, attention only}} of those that PyTorch has."""
    out = {}
    for name in names:
        body = prepare(name)
        if body is None:
            continue
        out[name] = {"seconds": median_seconds(body, device, seconds)}
        if device == "cuda" and name.startswith("attention"):
            out[name]["seconds_bf16"] = median_seconds(prepare(name, torch.bfloat16), device, seconds)
    return out
