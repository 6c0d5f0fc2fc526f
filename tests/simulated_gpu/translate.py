#!/usr/bin/env python3
"""Turns a CUDA source into C++ for the simulated GPU: translate.py IN OUT

`kernel<<<grid, block, bytes, stream>>>(arguments)` becomes a call of simulated_gpu::launch, and
`extern __shared__ T name[]` a pointer to the block's dynamic shared memory. All else is left to the
macros of simulated_gpu.h. Line numbers stay as they are.
"""
import os
import re
import sys


def matching(text, at, opening, closing):
    """Index behind the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        if text[i] == opening:
            depth += 1
        elif text[i] == closing:
            depth -= 1
            if depth == 0:
                return i + 1
    raise SystemExit(f"no {closing} for the {opening} at {at}")


def start_of_kernel(text, end):
    """Where the expression before <<< begins: a name, perhaps with template arguments."""
    i = end
    while text[i - 1].isspace():
        i -= 1
    if text[i - 1] == ">":
        depth = 0
        while True:
            i -= 1
            depth += {">": 1, "<": -1}.get(text[i], 0)
            if depth == 0:
                break
    while text[i - 1].isalnum() or text[i - 1] in "_:":
        i -= 1
    return i


def translate_launches(text):
    at = 0
    while (opened := text.find("<<<", at)) >= 0:
        closed = text.index(">>>", opened)
        begin = start_of_kernel(text, opened)
        arguments = text.index("(", closed)
        end = matching(text, arguments, "(", ")")
        kernel = text[begin:opened]
        settings = text[opened + 3:closed]
        inner = text[arguments + 1:end - 1]
        # Newlines that fell out of the middle are put back, so that lines keep their numbers.
        lost = "\n" * text[closed:arguments].count("\n")
        call = (f"::simulated_gpu::launch({{{settings}}}, [&](const auto&... kernel_arguments) {{ "
                f"{kernel}(kernel_arguments...); }}{', ' if inner.strip() else ''}{inner}{lost})")
        text = text[:begin] + call + text[end:]
        at = begin + len(call)
    return text


SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w ]+?)\s+(\w+)\[\];")


def main():
    source, target = sys.argv[1:3]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    text = SHARED.sub(
        r"\1* const \2 = static_cast<\1*>(::simulated_gpu::dynamic_shared_memory());", text)
    text = translate_launches(text)
    if not target.endswith(".cuh"):  # whose #pragma once must come first
        head = '#define __CUDACC__ 1\n#include "simulated_gpu.h"\n'
        text = f'{head}#line 1 "{source}"\n{text}'
    if os.path.exists(target):
        with open(target, encoding="utf-8") as file:
            if file.read() == text:  # nothing to compile again
                return
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


main()
