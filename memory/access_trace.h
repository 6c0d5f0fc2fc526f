// The slots that a model really read, as a file: benchmarks of the memory path repeat them, because
// neither uniform nor Zipf reads are what a trained model does.
//   slots     int32 [M, H, k]: M tokens in the order in which they were read
//   metadata  format = "slotwise access trace 1"; slots = N, those of the table; table = its index;
//             source: what was read
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "memory/memory_model.h"

namespace slotwise {

struct AccessTrace {
  Tensor accesses;  // [M, H, k] i32, each 0 .. slots - 1
  std::int64_t slots = 0;
  int table = 0;
  std::string source;
};

// Watches the valid tokens of a model's forwards for as long as it lives.
class AccessRecorder {
 public:
  // UserError when the model has no such table.
  AccessRecorder(MemoryModel& model, int table);
  ~AccessRecorder();
  AccessTrace trace(const std::string& source) const;

 private:
  void add(const Access& access);

  MemoryModel& model_;
  int table_ = 0;
  std::vector<std::int32_t> accesses_;
};

void save_access_trace(const AccessTrace& trace, const std::filesystem::path& path);
// UserError, one sentence, for a file that is no trace or a damaged one.
AccessTrace load_access_trace(const std::filesystem::path& path);

// The trace as [tokens, reads] accesses to a table of another size. The recorded reads are taken in
// their order and from the beginning again at their end, `reads` of them for a token. A smaller
// table takes slot modulo its size. In a table r times as large every slot has r copies (slot,
// slot + N, slot + 2N, ...), and each token draws which copy all its reads go to: the shape of the
// popularity stays, spread over r times as many slots.
Tensor fitted(const AccessTrace& trace, std::int64_t tokens, std::int64_t reads,
              std::int64_t slots);

}  // namespace slotwise
