#!/usr/bin/env bash
# Runs one part of the checks that need a GPU, from programs that are built already; each part takes less than 7
# minutes and leaves PART.json and PART.txt in OUTDIR. Without a GPU it says so and exits with 1.
#   tests/gpu_suite.sh OUTDIR --part correctness|sanitizer|bench|train [--build build/cuda]
#                      [--trace FILE] [--python INTERPRETER] [--dry-run]
#   correctness  every CUDA op against the CPU, gradients, equal bits twice; the programs against the CPU
#   sanitizer    compute-sanitizer (memcheck, racecheck) over the ops that sum by segments, select and attend
#   bench        each op and the memory path beside copy and GEMM; whole steps of models of GPT-2's and of the paper's
#                size; PyTorch's ops and steps, where --python names an interpreter that has it
#   train        the biographies preset on the GPU: pretraining, background, sparse finetuning, with rates and answers
# --trace: recorded reads for the memory path (slotwise-inspect --record-trace). --dry-run: the bench part on the CPU with
# tiny sizes, to see that all of it runs; its figures mean nothing.
set -uo pipefail
slotwise_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$slotwise_root"
usage() { sed -n "2,12s/^# \{0,1\}//p" tests/gpu_suite.sh; }
out='' part='' build=build/cuda trace='' python='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    --part) part=${2:?--part needs a name}; shift 2 ;;
    --build) build=${2:?--build needs a folder}; shift 2 ;;
    --trace) trace=${2:?--trace needs a file}; shift 2 ;;
    --python) python=${2:?--python needs an interpreter}; shift 2 ;;
    --dry-run) dry_run=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
    *) out=$1; shift ;;
  esac
done
case $part in correctness | sanitizer | bench | train) ;; *) usage >&2; exit 2 ;; esac
[ -n "$out" ] || { usage >&2; exit 2; }
[ -z "$dry_run" ] || [ "$part" = bench ] || { echo "--dry-run is for --part bench" >&2; exit 2; }
bin=$build/bin
if [ -n "$dry_run" ]; then
  gpu='none: a dry run'
elif ! gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null) || [ -z "$gpu" ]; then
  echo "tests/gpu_suite.sh needs a GPU, and nvidia-smi finds none here; run it on a machine that has one." >&2
  exit 1
fi
[ -x "$bin/slotwise_tests" ] || {
  echo "$bin/slotwise_tests is not there; build first: cmake --preset cuda && cmake --build --preset cuda" >&2
  exit 1
}
mkdir -p "$out"
text=$out/$part.txt
: >"$text"
results=()
status=0

# run NAME SECONDS COMMAND...: its output to the text file, its result to the JSON. What a command leaves as JSON in
# $pieces/NAME.json, or prints as a line of JSON with run_line, stands there, too.
pieces=$(mktemp -d)
trap 'rm -rf "$pieces"' EXIT
run() {
  local name=$1 limit=$2 begin=$SECONDS code=0 result=null
  shift 2
  [ -z "$dry_run" ] || limit=$((10 * limit))  # of a CPU that others use, too
  echo "== $name: $*" >>"$text"
  timeout --kill-after=10 "$limit" "$@" >"$pieces/output" 2>&1 || code=$?
  cat "$pieces/output" >>"$text"
  [ $code -eq 0 ] || status=1
  echo "== $name: exit code $code after $((SECONDS - begin)) s" | tee -a "$text"
  [ $code -ne 0 ] || [ ! -s "$pieces/$name.json" ] || result=$(cat "$pieces/$name.json")
  results+=("{\"name\": \"$name\", \"exit_code\": $code, \"seconds\": $((SECONDS - begin)), \"result\": $result}")
}
run_line() {
  local name=$1
  run "$@"
  local line
  line=$(grep -m1 '^{' "$pieces/output") || return 0
  results[-1]=${results[-1]/%null\}/$line\}}
}

# The limits add up to 6 min 45 s with PyTorch, 4 min 30 s without; by their bytes and FLOPs the pieces should take 3 to 4 minutes. A piece that reaches
# its limit fails alone.
bench_device=cuda bench_shapes=(gpt2 paper) peers=(--shapes gpt2 --modes pretrain --precision bf16)
op_options=(--benchmark_min_time=0.005) ops_of_pytorch='weighted_bag/|attention(_bf16)?/'
memory_options=(--log2-slots 14,16,18,20,22,24 --widths 64,256,1024,2048 --rounds 7 '--benchmark_filter=path|scores')
sparse_options=(--log2-slots 16,18,20,22 --widths 1024 --tokens 4096 --rounds 31 --benchmark_filter=sparse_step)
if [ -n "$dry_run" ]; then
  bench_device=cpu bench_shapes=(tiny_dense tiny) peers=(--shapes tiny_dense --modes pretrain --precision bf16)
  op_options=(--benchmark_min_time=0.001 '--benchmark_filter=limit|rms_norm|slots')
  memory_options=(--log2-slots 14 --widths 64 --tokens 64 --half-key 16 --rounds 1 '--benchmark_filter=path|scores')
  ops_of_pytorch='weighted_bag/4096|attention/B36'
  sparse_options=(--log2-slots 14,16 --widths 64 --tokens 64 --rounds 1 --benchmark_filter=sparse_step)
fi
json_to() { printf '%s\n' "--benchmark_out=$pieces/$1.json" --benchmark_out_format=json; }
step() {  # NAME SECONDS SHAPE MODE PRECISION
  run_line "$1" "$2" "$bin/step_bench" run --shape "$3" --mode "$4" --device $bench_device --precision "$5" \
    --warmup 2 --steps 5 --rows 100 --memory-report
}

case $part in
  correctness)
    run ops 240 "$bin/slotwise_tests" --gtest_brief=1 --gtest_filter='Ops/CudaOpTest*:Ops/CudaAttentionTest*' \
      --gtest_output="json:$out/ops.json"
    run programs 150 "$bin/slotwise_tests" --gtest_brief=1 --gtest_filter='CudaPrograms*' \
      --gtest_output="json:$out/programs.json" ;;
  sanitizer)
    command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not on the PATH" >&2; exit 1; }
    # A test checks that each of them is registered.
    sanitized_ops=(attention product_key_select product_key_lookup weighted_bag weighted_bag_touched_rows
      selected_row_gradient embedding count_accesses top_slots number_slots squared_norms adamw_all batch_norm rms_norm
      row_adam row_sgd softmax_rows score_slots)
    ops=$(printf 'Ops/CudaOpTest.MatchesCpu/%s:' "${sanitized_ops[@]}")Ops/CudaAttentionTest.MatchesCpu/composed
    run memcheck 200 compute-sanitizer --tool memcheck --error-exitcode 9 "$bin/slotwise_tests" --gtest_brief=1 \
      --gtest_filter="$ops"
    run racecheck 200 compute-sanitizer --tool racecheck --error-exitcode 9 "$bin/slotwise_tests" --gtest_brief=1 \
      --gtest_filter="$ops" ;;
  bench)
    mapfile -t json < <(json_to ops)
    run ops 50 "$bin/op_bench" --device $bench_device "${op_options[@]}" "${json[@]}"
    mapfile -t json < <(json_to memory)
    run memory 80 "$bin/memory_bench" --device $bench_device ${trace:+--trace "$trace"} "${memory_options[@]}" "${json[@]}"
    mapfile -t json < <(json_to sparse_step)
    run sparse_step 15 "$bin/memory_bench" --device $bench_device "${sparse_options[@]}" "${json[@]}"
    step dense_fp32 20 "${bench_shapes[0]}" pretrain fp32
    step dense_bf16 20 "${bench_shapes[0]}" pretrain bf16
    step paper_full 35 "${bench_shapes[1]}" full bf16
    step paper_lora 25 "${bench_shapes[1]}" lora bf16
    step paper_smf 25 "${bench_shapes[1]}" smf_adam bf16
    if [ -n "$python" ]; then
      compare=("$python" bench/compare_pytorch.py --device $bench_device --python "$python" --build "$build" --threads 1)
      run pytorch_ops 40 "${compare[@]}" --shapes --ops "$ops_of_pytorch" --out "$pieces/pytorch_ops.json"
      run pytorch_steps 95 "${compare[@]}" "${peers[@]}" --compile --rounds 1 --work "$pieces/pytorch" \
        --out "$pieces/pytorch_steps.json"
    else
      echo "== pytorch: left out, no --python was given" | tee -a "$text"
    fi ;;
  train)
    work=$out/run
    run prepare 60 "$bin/slotwise-prepare" --preset biographies --out "$work/data"
    run pretrain 200 "$bin/slotwise-pretrain" --preset biographies --data "$work/data" --out "$work/pretrain" \
      --device cuda --memory-report
    run background 40 "$bin/slotwise-background" --preset biographies --data "$work/data" \
      --checkpoint "$work/pretrain/checkpoint" --device cuda
    run finetune 100 "$bin/slotwise-finetune" --preset biographies --data "$work/data" \
      --checkpoint "$work/pretrain/checkpoint" --method smf --rows 256 --learning-rate 0.05 --out "$work/smf" \
      --device cuda --memory-report ;;
esac

{
  printf '{"part": "%s", "gpu": "%s", "date": "%s", "passed": %s,\n "runs": [' "$part" "$gpu" "$(date -u +%F)" \
    "$([ $status -eq 0 ] && echo true || echo false)"
  (IFS=,; printf '%s' "${results[*]}")
  printf ']}\n'
} >"$out/$part.json"
echo "$out/$part.json"
exit $status
