#!/usr/bin/env bash
# Trains tiny models and compares their logits with those of tests/fixtures/reference_model.py, a PyTorch model that
# was written from the checkpoint contract alone. Without PyTorch (Debian: python3-torch) it says SKIPPED and ends well.
#   tests/pytorch_reader.sh [FOLDER_OF_THE_PROGRAMS]      default: build/release/bin
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${1:-build/release/bin}
python=${PYTHON:-/usr/bin/python3}

if ! "$python" -c 'import numpy, torch' 2>/dev/null; then
  echo "SKIPPED: $python has no PyTorch (Debian: apt-get install python3-torch)"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/slotwise-prepare" --preset smoke --out "$work/data" --quiet

# check NAME STEPS [--set ...]: pretrains, then compares.
check() {
  local name=$1 steps=$2
  shift 2
  "$bin/slotwise-pretrain" --preset smoke --set "pretrain.steps=$steps" --set pretrain.batch=32 "$@" \
    --data "$work/data" --out "$work/$name" --quiet
  compare "$name" "$work/$name/checkpoint"
}
# Six sequences of 14 tokens from all over the vocabulary.
"$python" - "$work" <<'EOF'
import json, random, sys
random.seed(1)
words = len(json.load(open(sys.argv[1] + "/data/tokenizer.json"))["model"]["vocab"])
rows = [[1] + [random.randrange(words) for _ in range(13)] for _ in range(6)]
json.dump(rows, open(sys.argv[1] + "/tokens.json", "w"))
EOF
compare() {
  echo "== $1"
  "$bin/slotwise-inspect" --checkpoint "$2" --logits-for "$work/tokens.json" --out-logits "$work/logits.safetensors" \
    >/dev/null
  "$python" tests/fixtures/reference_model.py "$2" --tokens "$work/tokens.json" --compare "$work/logits.safetensors" \
    --tolerance 5e-6
}

check one_memory_layer 60
"$bin/slotwise-finetune" --preset smoke --checkpoint "$work/one_memory_layer/checkpoint" --data "$work/data" \
  --method lora --rank 4 --learning-rate 1e-3 --set finetune.steps=5 --out "$work/lora" --quiet
compare finetuned_with_lora "$work/lora/checkpoint"
check two_layers_added_batch_norm 60 --set 'memory.layers=[1,3]' --set memory.mode=add --set memory.query_norm=batch \
  --set memory.gate=false --set model.num_key_value_heads=2 --set model.tie_word_embeddings=true
check two_tables_with_gains 20 --set 'memory.layers=[1,2]' --set 'memory.tables=[[1],[2]]' --set memory.norm_gain=true \
  --set memory.key_norm=rms --set model.qk_norm=true --set model.head_dim=24 --set memory.value_dim=40
check no_memory 20 --set 'memory.layers=[]'
echo "the logits are the same"
