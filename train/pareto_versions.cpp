#include "train/pareto_versions.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/sha256.h"
#include "train/commit.h"

namespace slotwise {
namespace {

using nlohmann::json;

// The first line of /proc/cpuinfo with one of the names, behind its colon.
std::string processor_line(std::initializer_list<const char*> names) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    for (const char* name : names) {
      const std::size_t colon = line.find(": ");
      if (line.starts_with(name) && colon != line.npos) return line.substr(colon + 2);
    }
  }
  return "";
}

// Those that the GEMM library picks its kernels by, when it runs.
std::string processor_features() {
  constexpr std::array kKnown = {"avx2",        "fma",         "avx_vnni", "avx512f",
                                 "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16",
                                 "asimd",       "sve",         "sve2"};
  std::istringstream words(processor_line({"flags", "Features"}));
  std::string out;
  for (std::string word; words >> word;) {
    if (std::find(kKnown.begin(), kKnown.end(), word) == kKnown.end()) continue;
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

}  // namespace

json build_versions() {
#ifdef __clang__
  const std::string compiler = __VERSION__;
#else
  const std::string compiler = std::string("g++ ") + __VERSION__;
#endif
  const std::string processor = processor_line({"model name"});
  return {{"slotwise", SLOTWISE_VERSION},
          {"commit", SLOTWISE_COMMIT},
          {"compiler", compiler},
          {"architecture", SLOTWISE_ARCHITECTURE},
          {"gemm", SLOTWISE_GEMM_VERSION},
          {"processor", processor.empty() ? "unknown" : processor},
          {"processor_features", processor_features()}};
}

json sweep_versions(const std::filesystem::path& programs, const std::vector<std::string>& verbs) {
  Sha256 digest;
  for (const std::string& verb : verbs) {
    const auto program = programs / ("slotwise-" + verb);
    if (!std::filesystem::exists(program)) {
      user_error("{} is missing: it must stand beside slotwise-pareto", program.string());
    }
    digest.add(sha256_of_file(program));
  }
  json versions = build_versions();
  versions["programs"] = digest.hex();
  return versions;
}

std::string other_build(const json& there, const json& now) {
  // These alone decide; the others say what a person can tell builds by.
  const auto same = [&](const char* key) { return there.value(key, "") == now.value(key, ""); };
  if (same("programs") && same("gemm") && same("processor_features") && same("device") &&
      same("precision")) {
    return "";
  }
  for (const char* key : {"slotwise", "commit", "compiler", "architecture", "gemm",
                          "processor_features", "device", "precision"}) {
    if (same(key)) continue;
    return fmt::format("{} is {} there and {} now", key, there.value(key, "not recorded"),
                       now.value(key, "not recorded"));
  }
  return "its programs have been built anew from other sources";
}

}  // namespace slotwise
