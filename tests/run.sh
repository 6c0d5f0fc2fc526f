#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests. A second call builds only what changed.
#   tests/run.sh                     everything
#   tests/run.sh --filter 'Rms*'     only the GoogleTest cases that match
#   tests/run.sh --sanitize          with AddressSanitizer and UndefinedBehaviorSanitizer
set -euo pipefail
slotwise_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$slotwise_root"
. cmake/setup.sh

usage() { sed -n "2,6s/^# \{0,1\}//p" "$slotwise_root/tests/run.sh"; }
build=build/release
configure=(-DCMAKE_BUILD_TYPE=Release)
filter='*'
while [ $# -gt 0 ]; do
  case $1 in
    --filter) filter=${2:?--filter needs a pattern}; shift 2 ;;
    --sanitize)
      build=build/asan
      configure=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLOTWISE_SANITIZE=ON -DSLOTWISE_BENCH=OFF)
      shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done

slotwise_install_packages
slotwise_build "$build" "${configure[@]}" -- all
echo "== testing"
exec "$build/bin/slotwise_tests" --gtest_brief=1 --gtest_filter="$filter"
