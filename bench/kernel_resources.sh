#!/usr/bin/env bash
# What the hot kernels of a build take on the GPU, read from the built library without compiling anything: registers,
# static shared memory, stack and spills, as a Markdown table with the kernels that spill first.
#   bench/kernel_resources.sh BUILD > bench/results/cuda-compiled/resources.md     BUILD: build/cuda, say
# Needs cuobjdump of the CUDA toolkit (on the PATH, in CUDA_HOME, or named by CUOBJDUMP) and c++filt.
# A spill is a load from local memory in the kernel's own code: a stack without one holds the arguments of the printf
# that an index out of range ends in.
set -euo pipefail
build=${1:?"which build? bench/kernel_resources.sh BUILD"}
library=$build/kernels/libslotwise_kernels.a
[ -f "$library" ] || { echo "$library is not there; build first" >&2; exit 1; }
cuobjdump=${CUOBJDUMP:-$(command -v cuobjdump || echo "${CUDA_HOME:-/usr/local/cuda}/bin/cuobjdump")}
[ -x "$cuobjdump" ] || { echo "cuobjdump is not on the PATH; it comes with the CUDA toolkit" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# mangled name, architecture, registers, stack, shared
"$cuobjdump" --dump-resource-usage "$library" |
  awk '/^arch = /{arch = $3}
       /Function .*:$/{name = $2; sub(/:$/, "", name)}
       /REG:/{split("", value)
              for (i = 1; i <= NF; ++i) {split($i, part, ":"); value[part[1]] = part[2]}
              print name, arch, value["REG"], value["STACK"], value["SHARED"]}' | sort -u >"$work/usage"
[ -s "$work/usage" ] || { echo "$library holds no CUDA kernels; build with SLOTWISE_CUDA=ON" >&2; exit 1; }

# Own code of the kernels with a stack: mangled name, architecture, stores and loads of local memory.
with_stack=$(awk '$4 > 0 {print $1}' "$work/usage" | sort -u | paste -sd,)
if [ -n "$with_stack" ]; then
  "$cuobjdump" --dump-sass --function "$with_stack" "$library" 2> >(grep -v 'in --function .* not found' >&2) |
    awk '/arch = /{arch = $3}
         /Function :/{name = $3}
         /[ \t]STL/{++stores[name " " arch]}
         /[ \t]LDL/{++loads[name " " arch]}
         END{for (key in stores) print key, stores[key], loads[key] + 0}' >"$work/local"
else
  : >"$work/local"
fi

# The hot ones: source file and kernel -> what it is called here.
hot() {
  cat <<'EOF'
product_key_select.*select_slots|select
product_key_lookup_cu.*score_halves|lookup
product_key_select.*softmax_of_rows|lookup
product_key_lookup_backward.*differentiate_lookup|lookup, backward
weighted_bag_cu.*sum_bags|bag
weighted_bag_backward.*(dot_bags|find_rows)|bag, backward
sorted_segments.*(sum_chunks|zero_rows)|sorted segments
attention_blocked_cu.*attend|attention, blocked
attention_blocked_backward.*(differentiate|sum_output)|attention, blocked, backward
attention_composed.*(softmax|differentiate|clear)|attention, composed
head_layout.*swap|attention, head layout
cross_entropy.*kernel|cross entropy
row_optimizer.*(update_rows|descend_rows)|row Adam, row SGD
rms_norm.*(forward|backward)_kernel|rms norm
adamw.*adamw|AdamW
adamw.*pointwise.*AdamW|AdamW
slot_statistics.*(counts|flag_first|find_first|append)|count
slot_statistics.*score_touched|score
slot_statistics.*(make_keys|slots_of_keys)|top
EOF
}
hot | awk -F'|' -v local="$work/local" '
  BEGIN { while ((getline line < local) > 0) { split(line, l, " "); stores[l[1], l[2]] = l[3]; loads[l[1], l[2]] = l[4] } }
  FILENAME == "-" {
    label[++count] = $NF
    pattern[count] = substr($0, 1, length($0) - length($NF) - 1)
    next
  }
  {
    split($0, f, " ")
    if (f[1] ~ /3cub/) next
    for (i = 1; i <= count && f[1] !~ pattern[i];) ++i
    if (i > count) next
    spills = loads[f[1], f[2]] > 0
    print !spills "\t" i "\t" label[i] "\t" f[1] "\t" f[2] "\t" f[3] "\t" f[5] "\t" f[4] "\t" \
      (spills ? stores[f[1], f[2]] " / " loads[f[1], f[2]] : "none")
  }' - "$work/usage" | sort -t$'\t' -k1,1n -k2,2n -k4,4 -k5,5 >"$work/rows"

spilling=$(awk -F'\t' '$1 == 0' "$work/rows" | wc -l)
nvcc=$(sed -n 's/^CMAKE_CUDA_COMPILER_VERSION *"\{0,1\}\([0-9.]*\).*/\1/p; s/^set(CMAKE_CUDA_COMPILER_VERSION "\(.*\)")/\1/p' \
  "$build"/CMakeFiles/*/CMakeCUDACompiler.cmake | head -n 1)
cat <<EOF
# Registers, shared memory and spills of the hot kernels

Of $(git describe --always --dirty 2>/dev/null || echo "an unknown commit"), compiled by nvcc $nvcc for $(cut -d' ' -f2 "$work/usage" | sort -u | paste -sd' '); remade by
\`bench/kernel_resources.sh BUILD\` from the built library. Kernels that spill ($spilling of $(wc -l <"$work/rows")) come first. Registers are of a
thread; shared memory is the static part of a block (attention asks for more at launch); stack is of a thread, in bytes;
spills are stores / loads of local memory in the code. A stack without spills holds the arguments of the message that an
index out of range ends in. None of this has been seen running.

| part | kernel | arch | registers | shared | stack | spills |
|---|---|---|---|---|---|---|
EOF
cut -f3- "$work/rows" | c++filt |
  sed -E 's/slotwise:://g; s/(kernels::)?cuda:://g; s/\(anonymous namespace\):://g; s/void //; s/::\{lambda[^}]*\}(\{[^}]*\})*//g' |
  awk -F'\t' '{ name = $2; at = match(name, /\(/); if (at > 1) name = substr(name, 1, at - 1)
                printf "| %s | `%s` | %s | %s | %s | %s | %s |\n", $1, name, $3, $4, $5, $6, $7 }'
