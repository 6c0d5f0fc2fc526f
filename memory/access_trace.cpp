#include "memory/access_trace.h"

#include <charconv>

#include "core/random.h"
#include "core/safetensors.h"

namespace slotwise {
namespace {

constexpr const char* kFormat = "slotwise access trace 1";

std::string metadata(const TensorFile& file, const char* key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? std::string() : found->second;
}

// At most 2^31 - 1: slots are int32.
std::int64_t number(const TensorFile& file, const char* key, std::int64_t least) {
  const std::string text = metadata(file, key);
  std::int32_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least) {
    user_error("{}: '{}' must be a number from {} on, got '{}'; record the trace again",
               file.path.string(), key, least, text);
  }
  return value;
}

}  // namespace

AccessRecorder::AccessRecorder(MemoryModel& model, int table) : model_(model), table_(table) {
  const auto tables = static_cast<int>(model.tables().size());
  if (tables == 0) user_error("a trace needs a model with a memory layer; this one has none");
  if (table < 0 || table >= tables) {
    user_error("the model has {} value table{}, numbered from 0; there is no table {}", tables,
               tables == 1 ? "" : "s", table);
  }
  model_.hooks().expect_unwatched();
  model_.hooks().on_access = [this](const Access& access) { add(access); };
}

AccessRecorder::~AccessRecorder() {
  model_.hooks().on_access = nullptr;
}

void AccessRecorder::add(const Access& access) {
  if (access.table != table_) return;
  const auto slots = access.slots.to_vector<std::int32_t>();
  const auto valid =
      access.valid.defined() ? access.valid.to_vector<std::uint8_t>() : std::vector<std::uint8_t>();
  const auto reads = static_cast<std::size_t>(access.slots.size(1));
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (valid.empty() || valid[i / reads] != 0) accesses_.push_back(slots[i]);
  }
}

AccessTrace AccessRecorder::trace(const std::string& source) const {
  const MemoryConfig& memory = model_.config().memory;
  const auto count = static_cast<std::int64_t>(accesses_.size());
  const std::int64_t tokens = count / (memory.heads * memory.top_k);
  return {Tensor::from(accesses_, {tokens, memory.heads, memory.top_k}), memory.slots(), table_,
          source};
}

void save_access_trace(const AccessTrace& trace, const std::filesystem::path& path) {
  write_safetensors(path, {{"slots", trace.accesses}},
                    {{"format", kFormat},
                     {"slots", std::to_string(trace.slots)},
                     {"table", std::to_string(trace.table)},
                     {"source", trace.source}});
}

AccessTrace load_access_trace(const std::filesystem::path& path) {
  const TensorFile file = read_safetensors(path, "access trace");
  if (metadata(file, "format") != kFormat) {
    user_error(
        "{} is not an access trace (its metadata has no format '{}'); slotwise-inspect "
        "--record-trace FILE makes one",
        path.string(), kFormat);
  }
  AccessTrace trace{file.require("slots"), number(file, "slots", 1),
                    static_cast<int>(number(file, "table", 0)), metadata(file, "source")};
  const Tensor& accesses = trace.accesses;
  if (accesses.dtype() != DType::i32 || accesses.shape().dimensions() != 3 ||
      accesses.elements() == 0) {
    user_error("{}: expected slots int32 [tokens, heads, k], not empty, got {} {}; record again",
               path.string(), name_of(accesses.dtype()), accesses.shape().text());
  }
  for (const std::int32_t slot : accesses.span<std::int32_t>()) {
    if (slot < 0 || slot >= trace.slots) {
      user_error("{}: slot {} is not in a table of {} slots; record the trace again", path.string(),
                 slot, trace.slots);
    }
  }
  return trace;
}

Tensor fitted(const AccessTrace& trace, std::int64_t tokens, std::int64_t reads,
              std::int64_t slots) {
  const auto recorded = trace.accesses.span<std::int32_t>();
  const Tensor out = Tensor::empty({tokens, reads}, DType::i32, {}, "access trace");
  const Random random(0, "copy of the slots");
  std::size_t next = 0;
  for (std::int64_t token = 0; token < tokens; ++token) {
    // Where r is no whole number the last copy is cut short, and a slot may lack there.
    const auto copy = static_cast<std::int64_t>(
        random.below_at(static_cast<std::uint64_t>(token),
                        static_cast<std::uint64_t>((slots + trace.slots - 1) / trace.slots)));
    for (std::int64_t read = 0; read < reads; ++read) {
      const std::int64_t slot = recorded[next] + copy * trace.slots;
      out.data<std::int32_t>()[token * reads + read] = static_cast<std::int32_t>(slot % slots);
      next = next + 1 == recorded.size() ? 0 : next + 1;
    }
  }
  return out;
}

}  // namespace slotwise
