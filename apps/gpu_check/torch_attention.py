#!/usr/bin/env python3
"""PyTorch's attention and its derivatives, the rivals of ours: torch_attention.py JSON. A row for every shape, in the units of gpu_check's rows."""
import json
import sys

import torch
import torch.nn.functional as F


def milliseconds(work):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def report(out, name, head, rows, causal, work, call):
    for _ in range(3):
        call()
    times = sorted(milliseconds(call) for _ in range(20))
    ms = times[len(times) // 2]
    tflops = work * 16 * rows * rows * head / ms / 1e9 * (0.5 if causal else 1)
    row = {"row": name, "heads": 16, "rows": rows, "head": head, "causal": causal, "ms": ms, "tflops": tflops}
    out.write(json.dumps(row) + "\n")
    print(f"{name} 16 heads x {rows} rows, head {head}{', causal' if causal else ''}: {tflops:.1f} TFLOP/s")


def main():
    print(torch.cuda.get_device_name(0), "PyTorch", torch.__version__)
    torch.manual_seed(1)
    with open(sys.argv[1], "a", encoding="utf-8") as out:
        for head in (64, 128):
            for rows in (1024, 4096, 16384):
                q, k, v, given = (torch.rand(1, 16, rows, head, device="cuda", dtype=torch.bfloat16) * 2 - 1 for _ in range(4))
                for causal in (False, True):
                    report(out, "torch sdpa", head, rows, causal, 4, lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal))
                    wrt = [t.detach().requires_grad_() for t in (q, k, v)]
                    result = F.scaled_dot_product_attention(*wrt, is_causal=causal)
                    report(out, "torch sdpa backward", head, rows, causal, 10, lambda: torch.autograd.grad(result, wrt, given, retain_graph=True))


if __name__ == "__main__":
    main()
