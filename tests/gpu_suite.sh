#!/usr/bin/env bash
# Runs one part of the checks that need a GPU, from programs that are built already; each part takes less than 7
# minutes and leaves PART.json and PART.txt in OUTDIR. Without a GPU it says so and exits with 1.
#   tests/gpu_suite.sh OUTDIR --part correctness|sanitizer|bench|train [--build build/cuda]
#   correctness  every CUDA op against the CPU, gradients, equal bits twice; the programs against the CPU
#   sanitizer    compute-sanitizer (memcheck, racecheck) over the ops that sum by segments, select and attend
#   bench        each op beside copy and GEMM; whole steps of models of GPT-2's and of the paper's size
#   train        the biographies preset on the GPU: pretraining, background, sparse finetuning, with rates and answers
set -uo pipefail
slotwise_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$slotwise_root"
usage() { sed -n "2,8s/^# \{0,1\}//p" tests/gpu_suite.sh; }
out='' part='' build=build/cuda
while [ $# -gt 0 ]; do
  case $1 in
    --part) part=${2:?--part needs a name}; shift 2 ;;
    --build) build=${2:?--build needs a folder}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
    *) out=$1; shift ;;
  esac
done
case $part in correctness | sanitizer | bench | train) ;; *) usage >&2; exit 2 ;; esac
[ -n "$out" ] || { usage >&2; exit 2; }
bin=$build/bin
if ! gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null) || [ -z "$gpu" ]; then
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

# run NAME SECONDS COMMAND...: its output to the text file, its result to the JSON.
run() {
  local name=$1 limit=$2 begin=$SECONDS code=0
  shift 2
  echo "== $name: $*" >>"$text"
  timeout --kill-after=10 "$limit" "$@" >>"$text" 2>&1 || code=$?
  [ $code -eq 0 ] || status=1
  echo "== $name: exit code $code after $((SECONDS - begin)) s" | tee -a "$text"
  results+=("{\"name\": \"$name\", \"exit_code\": $code, \"seconds\": $((SECONDS - begin))}")
}

case $part in
  correctness)
    run ops 240 "$bin/slotwise_tests" --gtest_brief=1 --gtest_filter='Ops/CudaOpTest*:Ops/CudaAttentionTest*' \
      --gtest_output="json:$out/ops.json"
    run programs 150 "$bin/slotwise_tests" --gtest_brief=1 --gtest_filter='CudaPrograms*' \
      --gtest_output="json:$out/programs.json" ;;
  sanitizer)
    command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not on the PATH" >&2; exit 1; }
    ops='Ops/CudaAttentionTest.MatchesCpu/composed:'
    for op in attention product_key_select product_key_lookup weighted_bag weighted_bag_touched_rows \
      selected_row_gradient embedding count_accesses top_slots number_slots squared_norms adamw_all batch_norm rms_norm; do
      ops+="Ops/CudaOpTest.MatchesCpu/$op:"
    done
    run memcheck 200 compute-sanitizer --tool memcheck --error-exitcode 9 "$bin/slotwise_tests" --gtest_brief=1 \
      --gtest_filter="$ops"
    run racecheck 200 compute-sanitizer --tool racecheck --error-exitcode 9 "$bin/slotwise_tests" --gtest_brief=1 \
      --gtest_filter="$ops" ;;
  bench)
    run ops 150 "$bin/op_bench" --device cuda --benchmark_min_time=0.2 --benchmark_out="$out/ops.json" \
      --benchmark_out_format=json
    for precision in fp32 bf16; do
      run "gpt2_$precision" 60 "$bin/step_bench" run --shape gpt2 --mode pretrain --device cuda --precision $precision
    done
    run paper_full 90 "$bin/step_bench" run --shape paper --mode full --device cuda --precision bf16 --memory-report
    run paper_smf 60 "$bin/step_bench" run --shape paper --mode smf_adam --device cuda --precision bf16 \
      --rows 500 --memory-report ;;
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
