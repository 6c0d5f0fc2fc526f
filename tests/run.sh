#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests. A second call builds only what changed.
#   tests/run.sh                     everything
#   tests/run.sh --filter 'Rms*'     only the GoogleTest cases that match
#   tests/run.sh --sanitize          with AddressSanitizer and UndefinedBehaviorSanitizer
#   tests/run.sh --simulate-gpu      the CUDA kernels on a GPU that the processor plays; also with --sanitize
set -euo pipefail
slotwise_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$slotwise_root"
. cmake/setup.sh

usage() { sed -n "2,7s/^# \{0,1\}//p" "$slotwise_root/tests/run.sh"; }
filter=''
sanitize=no
simulate=no
while [ $# -gt 0 ]; do
  case $1 in
    --filter) filter=${2:?--filter needs a pattern}; shift 2 ;;
    --sanitize) sanitize=yes; shift ;;
    --simulate-gpu) simulate=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done

build=build/release
configure=(-DCMAKE_BUILD_TYPE=Release)
more_packages=()
if [ "$sanitize" = yes ]; then
  build=build/asan
  configure=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLOTWISE_SANITIZE=ON -DSLOTWISE_BENCH=OFF -DSLOTWISE_CUDA=OFF)
fi
if [ "$simulate" = yes ]; then
  build+=-simulated
  configure+=(-DSLOTWISE_BENCH=OFF -DSLOTWISE_CUDA=SIMULATED)
  more_packages=(python3)
  # Whole programs would train for many minutes.
  filter=${filter:-'Ops/Cuda*'}
fi

slotwise_install_packages "${more_packages[@]}"
nvcc=$(command -v "${CUDACXX:-nvcc}" || echo "${CUDA_HOME:-${CUDA_PATH:-/usr/local/cuda}}/bin/nvcc")
if [ "$sanitize$simulate" = nono ] && [ -x "$nvcc" ] && frontend=$(cmake/cudnn_frontend.sh); then
  configure+=(-DSLOTWISE_CUDNN_FRONTEND="$frontend")
fi
slotwise_build "$build" "${configure[@]}" -- all
tests=$build/bin/slotwise_tests
filter=${filter:-*}
matching=$("$tests" --gtest_filter="$filter" --gtest_list_tests | grep -c '^  ' || true)
if [ "$matching" -eq 0 ]; then
  echo "no test matches --filter '$filter'; $tests --gtest_list_tests lists them" >&2
  exit 1
fi
echo "== testing"
report=$build/tests.xml
rm -f "$report"
touch "$report"
status=0
"$tests" --gtest_brief=1 --gtest_filter="$filter" --gtest_output="xml:$report" || status=$?
# A skipped test has proved nothing: it is said which.
skipped=$(sed -n 's/.*<testcase name="\([^"]*\)".* result="skipped".* classname="\([^"]*\)".*/  \2.\1/p' "$report")
if [ -n "$skipped" ]; then
  echo "== skipped:"
  # The instances of one test on one line.
  awk '{ at = match($1, /\/[^\/]*$/); whole = index($1, ".") < at
         name = whole ? substr($1, 1, at - 1) : $1; instance = whole ? substr($1, at + 1) : ""
         if (!(name in all)) order[++count] = name
         all[name] = all[name] (all[name] != "" && instance != "" ? ", " : "") instance }
       END { for (i = 1; i <= count; ++i) {
               print "  " order[i] (all[order[i]] != "" ? ": " all[order[i]] : "") } }' <<<"$skipped" |
    fold -s -w 120
fi
# No report: the tests died on the way, and gtest has said where.
if read -r all failed < <(sed -n 's/^<testsuites tests="\([0-9]*\)" failures="\([0-9]*\)".*/\1 \2/p' "$report"); then
  left_out=$(grep -c . <<<"$skipped" || true)
  echo "$((all - failed - left_out)) passed, $failed failed, $left_out skipped"
fi
exit "$status"
