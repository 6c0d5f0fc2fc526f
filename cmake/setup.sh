# Sourced by train/reproduce.sh and tests/run.sh: installs what is missing, configures, builds.
#   slotwise_install_packages [MORE_PACKAGES...]
#   slotwise_build BUILD_DIR CMAKE_ARGS... -- TARGETS...
# Only packages of the distribution are installed; nothing else is downloaded here.

slotwise_packages() {
  echo g++ cmake ninja-build pkg-config ccache \
    libdnnl-dev libfmt-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libssl-dev \
    zlib1g-dev libzstd-dev libpcre2-dev libgtest-dev libbenchmark-dev gnuplot-nox \
    libopenmpi-dev openmpi-bin iproute2
}

slotwise_install_packages() {
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "This system has no apt-get. If the build stops at a missing library, install the equivalents of:"
    echo "  $(slotwise_packages) $*"
    return 0
  fi
  local missing=() package
  for package in $(slotwise_packages) "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "These packages are missing and this user cannot install them (no root, no sudo):" >&2
      echo "  ${missing[*]}" >&2
      return 1
    }
    root=(sudo)
  fi
  echo "== installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

slotwise_build() {
  local build=$1
  shift
  local configure=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    configure+=("$1")
    shift
  done
  [ $# -gt 0 ] && shift
  mkdir -p "$build"
  # The configure output is long and only wanted when something changed or failed.
  echo "== configuring $build"
  if ! cmake -S "$slotwise_root" -B "$build" -G Ninja "${configure[@]}" >"$build/configure.log" 2>&1; then
    cat "$build/configure.log" >&2
    return 1
  fi
  sed -n '/^-- Slotwise/,$p' "$build/configure.log" | sed -e 's/^-- //' -e '/^Configuring done/,$d'
  echo "== building"
  cmake --build "$build" --target "$@"
}
