#!/usr/bin/env python3
"""Whole training steps, and ops, here and in PyTorch: same model, weights and batches, in turn, in one run; medians.

    bench/compare_pytorch.py                                  on the CPU: biographies and d512, all modes
    bench/compare_pytorch.py --device cuda --ops --compile    on a GPU: the shapes gpt2 and paper, and the ops
    bench/compare_pytorch.py --device cuda --precision bf16   bf16 operands here, autocast to bf16 there
    bench/compare_pytorch.py --shapes tiny --ops 'weighted_bag/4096' --rounds 1      to see that it runs
    bench/compare_pytorch.py --shapes biographies --modes pretrain full --rounds 5
    bench/compare_pytorch.py --python ~/my/venv/bin/python    an environment of your own with torch and numpy

Each side runs with 1 and with 2 threads (--threads) and counts at its best. Losses of both sides are compared first, so
that both do the same work. PyTorch runs eagerly and, with --compile, also through torch.compile, at the better of the
two. Its rows are padded, as its users do; here they are packed, which is part of the ratio (biographies: 27 to 33 % of
the positions are padding, d512: none). Pretraining is timed as in the middle of a run, with moments in every row of
the table; full finetuning from its start, as it is used. Prints progress on stderr and JSON on stdout:
{"<shape>": {"ratios": {"<mode>": our speed / PyTorch's}, ...}}. The modes of sparse memory finetuning: smf_paper_way is
the masked formula of the paper with SGD, smf_best_way what a good PyTorch user would write, with row Adam; here both are
the same code with row SGD and row Adam, and smf_cached is the latter with the prefix cache, as slotwise-finetune runs,
against the same best way; shapes without a memory have the first three modes only. FLOPs of a step are step_bench's, for
both sides. --ops adds EmbeddingBag (mode sum, per-sample weights) beside weighted_bag and scaled_dot_product_attention
beside attention, forward and backward, in the shapes, bytes and FLOPs of op_bench; its value chooses among op_bench's
names. Without an environment of its own the script makes one (several GB of wheels).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODES = {"pretrain": "pretrain", "full": "full", "lora": "lora", "smf_paper_way": "smf_sgd", "smf_best_way": "smf_adam",
         "smf_cached": "smf_adam"}
SHAPES = {"biographies": {"rows": 256, "steps": 12, "warmup": 3}, "d512": {"rows": 500, "steps": 3, "warmup": 1},
          "gpt2": {"rows": 0, "steps": 5, "warmup": 2}, "paper": {"rows": 500, "steps": 5, "warmup": 2},
          "tiny": {"rows": 8, "steps": 3, "warmup": 1}, "tiny_dense": {"rows": 0, "steps": 3, "warmup": 1}}  # rows 0: no memory
USUAL_SHAPES = {"cpu": ["biographies", "d512"], "cuda": ["gpt2", "paper"]}
RANK = 32
# Both sides round differently and break ties of equal scores differently; the first loss knows no update yet.
FIRST_LOSS_TOLERANCE, LOSS_TOLERANCE = {"fp32": 1e-5, "bf16": 1e-2}, {"fp32": 5e-3, "bf16": 2e-2}


def say(text):
    print(text, file=sys.stderr, flush=True)


def make_environment(folder):
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        say(f"making a Python environment with PyTorch in {folder} (several GB, once)")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
    if subprocess.run([python, "-c", "import torch, numpy"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "torch", "numpy"], check=True, stdout=sys.stderr)
    return python


def worker(arguments):
    """One measurement of PyTorch, in a process of its own."""
    sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "fixtures")]
    import time

    import torch

    import tiny_safetensors
    from pytorch_model import MemoryLanguageModel
    from pytorch_steps import make_step

    folder, mode = arguments.worker, arguments.modes[0]
    torch.set_num_threads(arguments.threads[0])
    torch.manual_seed(0)
    torch.set_default_device(arguments.device)  # matrix products stay fp32: TF32 is off unless asked for
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        model = MemoryLanguageModel(json.load(file))
    read = lambda name: tiny_safetensors.load(os.path.join(folder, name))[0]
    model.load(read("model.safetensors"))
    model.to(arguments.device)
    if arguments.precision == "bf16":
        model.loss = torch.autocast(arguments.device, dtype=torch.bfloat16)(model.loss)
    inputs, stage = read("inputs.safetensors"), "pretrain" if mode == "pretrain" else "finetune"
    if arguments.compile:
        model.loss = torch.compile(model.loss)
    step = make_step(mode, model, read("adapters.safetensors"), inputs["df"], arguments.rows, RANK)
    batches = [tuple(torch.from_numpy(inputs[f"{stage}.{i}.{kind}"]).long().to(arguments.device) for kind in ("tokens", "targets"))
               for i in range(4)]
    losses, seconds = [], []
    for i in range(arguments.warmup + arguments.steps):
        start = time.perf_counter()
        losses.append(step(*batches[i % 4]))
        if i >= arguments.warmup:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"losses": losses, "seconds": seconds, "version": torch.__version__}))


def ops_worker(arguments):
    """PyTorch's side of --ops: names as JSON on stdin, seconds as JSON on stdout."""
    sys.path[:0] = [HERE]
    import torch

    import pytorch_ops

    torch.set_num_threads(arguments.threads[0])
    torch.manual_seed(0)
    torch.set_default_device(arguments.device)
    measured = pytorch_ops.measure(json.load(sys.stdin), arguments.device, arguments.op_seconds)
    print(json.dumps({"ops": measured, "version": torch.__version__}))


def run(command, threads, text=None):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, input=text)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.python = arguments.python or make_environment(os.path.expanduser(arguments.environment))
        self.step_bench = os.path.join(arguments.build, "bin", "step_bench")
        if not os.path.exists(self.step_bench):
            sys.exit(f"{self.step_bench} is not there; build first (tests/run.sh), or name the folder with --build")

    def make_inputs(self, shape):
        folder = os.path.join(self.arguments.work, shape)
        if os.path.exists(os.path.join(folder, "inputs.safetensors")):
            return folder
        dataset = os.path.join(self.arguments.work, "data")
        if shape == "biographies":
            prepare = os.path.join(self.arguments.build, "bin", "slotwise-prepare")
            subprocess.run([prepare, "--preset", "biographies", "--out", dataset], check=True, stdout=sys.stderr)
        subprocess.run([self.step_bench, "make", "--shape", shape, "--data", dataset, "--out", folder], check=True)
        return folder

    def ours(self, shape, folder, mode, threads):
        plan = SHAPES[shape]
        cache = ["--prefix-cache"] if mode == "smf_cached" else []
        return run([self.step_bench, "run", "--from", folder, "--mode", MODES[mode], *cache, "--rows", str(plan["rows"]),
                    "--warmup", str(plan["warmup"]), "--steps", str(plan["steps"]), "--rank", str(RANK), "--device",
                    self.arguments.device, "--precision", self.arguments.precision], threads)

    def theirs(self, shape, folder, mode, threads, compiled=False):
        plan = dict(SHAPES[shape])
        plan["warmup"] = max(plan["warmup"], 4) if compiled else plan["warmup"]  # every batch's shape is compiled once
        mode = "smf_best_way" if mode == "smf_cached" else mode
        return run([self.python, os.path.abspath(__file__), "--worker", folder, "--modes", mode, "--threads",
                    str(threads), "--rows", str(plan["rows"]), "--warmup", str(plan["warmup"]), "--steps",
                    str(plan["steps"]), "--device", self.arguments.device, "--precision", self.arguments.precision]
                   + (["--compile"] if compiled else []), threads)

    def measure(self, shape, folder, mode):
        sides = {"slotwise": self.ours, "pytorch": self.theirs}
        if self.arguments.compile:
            sides["pytorch compiled"] = lambda *of: self.theirs(*of, compiled=True)
        seconds = {(side, threads): [] for side in sides for threads in self.arguments.threads}
        differences, version, flops = [], None, None
        for _ in range(self.arguments.rounds):
            for threads in self.arguments.threads:
                losses = {}
                for side, measure in sides.items():
                    got = measure(shape, folder, mode, threads)
                    seconds[side, threads] += got["seconds"]
                    losses[side], version = got["losses"], got.get("version", version)
                    flops = got.get("flops", flops)
                differences.append(loss_difference(shape, mode, losses, self.arguments.precision))
        out = {"largest_loss_difference": max(differences), "pytorch": version, "flops": flops, "seconds": {},
               "flops_per_second": {}}
        best = {}
        for side in sides:
            medians = {threads: statistics.median(seconds[side, threads]) for threads in self.arguments.threads}
            best[side] = min(medians.values())
            out["seconds"][side] = medians
            out["flops_per_second"][side] = flops / best[side]
        ours = best.pop("slotwise")
        theirs = min(best.values())
        out["ratio"] = theirs / ours
        say(f"{shape:12} {mode:14} here {1e3 * ours:9.2f} ms   PyTorch {1e3 * theirs:9.2f} ms   {out['ratio']:.2f}x")
        return out

    def measure_ops(self, filter_, threads):
        """Each op of op_bench that PyTorch has, too, with the bytes and FLOPs that op_bench counts."""
        arguments = self.arguments
        # On a GPU op_bench counts the mean of ten runs as one.
        least = arguments.op_seconds / (10 if arguments.device == "cuda" else 1)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "ops.json")
            done = subprocess.run(
                [os.path.join(arguments.build, "bin", "op_bench"), "--device", arguments.device,
                 f"--benchmark_filter={filter_}", f"--benchmark_min_time={least}",
                 f"--benchmark_out={path}", "--benchmark_out_format=json"],
                env=dict(os.environ, OMP_NUM_THREADS=str(threads)), capture_output=True, text=True)
            if done.returncode or not os.path.getsize(path):
                sys.exit(f"op_bench failed:\n{done.stderr}")
            with open(path, encoding="utf-8") as file:
                ours = json.load(file)["benchmarks"]
        rows = {entry["name"].replace("/manual_time", ""): entry for entry in ours}
        theirs = run([self.python, os.path.abspath(__file__), "--ops-worker", "--threads", str(threads), "--device",
                      arguments.device, "--op-seconds", str(arguments.op_seconds)], threads, json.dumps(list(rows)))
        out = {}
        for name, peer in theirs["ops"].items():
            entry = rows[name]
            seconds = {"slotwise": entry["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[entry["time_unit"]],
                       "pytorch": peer["seconds"]}
            out[name] = {"bytes": entry["bytes"], "flops": entry["FLOPs"], "seconds": seconds,
                         "copy_share": {side: entry["copy_share"] * seconds["slotwise"] / s for side, s in seconds.items()},
                         "ratio": round(seconds["pytorch"] / seconds["slotwise"], 3)}
            say(f"{name:60} here {1e6 * seconds['slotwise']:10.1f} us   PyTorch {1e6 * seconds['pytorch']:10.1f} us   "
                f"{out[name]['ratio']:.2f}x")
        return out


def loss_difference(shape, mode, losses, precision):
    """The largest relative one; ends the program where it shows that the two do not do the same work."""
    ours, theirs = losses["slotwise"], losses["pytorch"]
    differences = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
    alike = differences[0] <= FIRST_LOSS_TOLERANCE[precision] and all(d <= LOSS_TOLERANCE[precision] for d in differences)
    # A NaN is like nothing.
    if not alike:
        sys.exit(f"{shape} {mode}: the losses differ, so the two do not do the same work:\n  here    {ours}\n"
                 f"  PyTorch {theirs}")
    return max(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", metavar="SHAPE",
                        help=f"of {', '.join(SHAPES)}; default: biographies d512, on a GPU gpt2 paper; nothing: none")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"],
                        help="where both sides run; cuda has not been tried yet")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--ops", nargs="?", const="weighted_bag/|attention/", metavar="FILTER",
                        help="also single ops; a regular expression chooses among op_bench's names")
    parser.add_argument("--op-seconds", type=float, default=0.2, help="time for each op on either side")
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is started per mode and threads")
    parser.add_argument("--threads", nargs="+", type=int, help="of the CPU; default: 1 and 2, on a GPU 1")
    parser.add_argument("--compile", action="store_true", help="time PyTorch through torch.compile, too (minutes more)")
    parser.add_argument("--python", help="interpreter with torch and numpy")
    parser.add_argument("--environment", default="~/.cache/slotwise/pytorch", help="where the script makes its own")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build", "release"))
    parser.add_argument("--work", default=os.path.join(HERE, "..", "out", "compare_pytorch"))
    parser.add_argument("--out", help="also write the JSON here")
    for hidden in ("--rows", "--warmup", "--steps"):
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--ops-worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = [shape for shape in arguments.shapes or [] if shape not in SHAPES]
    if unknown:
        parser.error(f"there is no shape {unknown[0]}; there are {', '.join(SHAPES)}")
    arguments.threads = arguments.threads or ([1, 2] if arguments.device == "cpu" else [1])
    if arguments.ops_worker:
        return ops_worker(arguments)
    if arguments.worker:
        return worker(arguments)
    if arguments.out:
        folder = os.path.dirname(os.path.abspath(arguments.out))
        if os.path.isdir(arguments.out) or not os.access(folder, os.W_OK):
            parser.error(f"cannot write {arguments.out}: give a file in a folder that exists and can be written")
    comparison, result = Comparison(arguments), {}
    if arguments.ops:
        result["ops"] = comparison.measure_ops(arguments.ops, max(arguments.threads))
    for shape in USUAL_SHAPES[arguments.device] if arguments.shapes is None else arguments.shapes:
        folder = comparison.make_inputs(shape)
        modes = [mode for mode in arguments.modes if SHAPES[shape]["rows"] > 0 or not mode.startswith("smf")]
        measured = {mode: comparison.measure(shape, folder, mode) for mode in modes}
        result[shape] = {"ratios": {mode: round(entry["ratio"], 3) for mode, entry in measured.items()},
                         "threads": arguments.threads, "rounds": arguments.rounds, "modes": measured}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
