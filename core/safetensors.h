// The safetensors file format: 8 bytes header length, a JSON header of names, dtypes, shapes and
// offsets, raw little-endian data. Read strictly: a truncated or foreign file is refused before any
// tensor is made.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace slotwise {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct TensorFile {
  std::vector<NamedTensor> tensors;  // in the order of the file
  std::map<std::string, std::string> metadata;

  const Tensor* find(const std::string& name) const;     // null when absent
  const Tensor& require(const std::string& name) const;  // UserError when absent
  std::filesystem::path path;                            // where it was read from
};

// Tensors on the CPU. `label` names the allocations.
TensorFile read_safetensors(const std::filesystem::path& path, const char* label = "file");
// The file appears whole or not at all (core/files.h). Tensors may be on any device.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace slotwise
