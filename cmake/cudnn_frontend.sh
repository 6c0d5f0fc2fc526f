#!/usr/bin/env bash
# Fetches the headers of cuDNN's frontend (a pinned wheel, 12 MB, checked by its sha256) once, and prints the folder
# for -DSLOTWISE_CUDNN_FRONTEND=. Without pip or network it says so on stderr and exits with 1; the build does without.
#   cmake --preset cuda -DSLOTWISE_CUDNN_FRONTEND="$(cmake/cudnn_frontend.sh)"
set -euo pipefail
version=1.32.0
sha256=c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0
folder=${XDG_CACHE_HOME:-$HOME/.cache}/slotwise/cudnn-frontend-$version
if [ ! -f "$folder/include/cudnn_frontend.h" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  echo "nvidia-cudnn-frontend==$version --hash=sha256:$sha256" >"$work/wanted"
  # One wheel for every machine: of it only the headers are used, and they are the same in all.
  if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 \
    --dest "$work" --requirement "$work/wanted" >"$work/log" 2>&1; then
    echo "cuDNN is left out: its frontend headers cannot be fetched ($(tail -n 1 "$work/log"))" >&2
    exit 1
  fi
  python3 -m zipfile -e "$work"/nvidia_cudnn_frontend-*.whl "$work/wheel"
  mkdir -p "$folder"
  # Whole or not at all, also when two run at once.
  cp -r "$work/wheel/include" "$folder/include.$$"
  mv -T "$folder/include.$$" "$folder/include" 2>/dev/null || rm -rf "$folder/include.$$"
  cp "$work"/wheel/*.dist-info/licenses/* "$folder/" 2>/dev/null || true
fi
echo "$folder"
