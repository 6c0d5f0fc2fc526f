#!/usr/bin/env bash
# Installs what is missing, builds, and runs a sweep: learning against forgetting for each method. The table and the
# paths of the pictures come last. Stopped with Ctrl-C, the same command goes on.
#   train/reproduce.sh                    the biographies, two seeds; results in out/reproduce
#   train/reproduce.sh --preset smoke     under a minute, to see that all works; results in out/smoke
#   train/reproduce.sh --preset wordnet   facts about real nouns, from the package wordnet-base; results in out/wordnet
#   train/reproduce.sh --preset facts --data FOLDER   real questions; FOLDER holds the files that the preset names
#   train/reproduce.sh --preset ablations --pretrained out/reproduce   the pretrained models of that sweep
#   train/reproduce.sh --seeds 0,1,2      more seeds; finished runs are kept
#   train/reproduce.sh --jobs 4           runs at a time (default: the number of cores, on a GPU 1)
#   train/reproduce.sh --precision bf16   operands of matrix products, for a GPU (default: fp32)
#   train/reproduce.sh --set KEY=VALUE    another setting, e.g. --set finetune.steps=100 (repeatable)
#   train/reproduce.sh --fresh            throws earlier results away (needed once the programs have changed)
set -euo pipefail
slotwise_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$slotwise_root"
. cmake/setup.sh

usage() { sed -n '2,13s/^# \{0,1\}//p' "$slotwise_root/train/reproduce.sh"; }
preset=biographies
arguments=()
value() { # OPTION VALUE?
  [ -n "${2:-}" ] && return
  echo "$1 needs a value" >&2
  usage >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --preset) value "$@"; preset=$2; shift 2 ;;
    --data)
      value "$@"
      [ -d "$2" ] || { echo "--data: there is no folder $2" >&2; exit 2; }
      arguments+=(--set "data.folder=$(realpath -- "$2")"); shift 2 ;;
    --seeds | --jobs | --set | --pretrained | --precision) value "$@"; arguments+=("$1" "$2"); shift 2 ;;
    --fresh) arguments+=(--fresh); shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
if [ ! -f "train/presets/$preset.toml" ]; then
  names=$(basename -s .toml train/presets/*.toml | paste -sd, | sed 's/,/, /g')
  printf "there is no preset '%s'; the presets are %s\n" "$preset" "$names" >&2
  exit 2
fi
out=out/$preset
[ "$preset" = biographies ] && out=out/reproduce

packages=()
[ "$preset" = wordnet ] && packages=(wordnet-base)
slotwise_install_packages "${packages[@]}"
slotwise_build build/release -DCMAKE_BUILD_TYPE=Release -- \
  slotwise-prepare slotwise-pretrain slotwise-background slotwise-finetune slotwise-pareto \
  slotwise-evaluate slotwise-generate slotwise-inspect
echo "== running the preset $preset"
exec build/release/bin/slotwise-pareto --preset "$preset" --out "$out" "${arguments[@]}"
