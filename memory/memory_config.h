// Options of the memory layers of a model; field names are the keys of the `memory` object in
// config.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace slotwise {

enum class QueryNorm { none, rms, batch };
enum class KeyNorm { none, rms };
enum class MemoryMode { replace, add };

struct MemoryConfig {
  std::int64_t sub_keys = 0;                      // n: sub-keys per half; slots = n * n
  std::int64_t heads = 4;                         // H
  std::int64_t top_k = 32;                        // rows read per head and token
  std::int64_t key_dim = 0;                       // both halves together
  std::int64_t value_dim = 0;                     // d_v, independent of the model's width
  std::vector<std::int64_t> layers;               // which layers have a memory, ascending, from 0
  std::vector<std::vector<std::int64_t>> tables;  // which of them share a value table
  bool gate = true;
  QueryNorm query_norm = QueryNorm::rms;
  KeyNorm key_norm = KeyNorm::none;
  bool norm_gain = false;
  double norm_eps = 1e-6;
  MemoryMode mode = MemoryMode::replace;

  // Initialisation only. Loud values (d_v^-1/2) leave the facts in the dense layers at small scale.
  double value_std = 0.02;
  double key_std = 0.0;  // normal with this std; 0: uniform in +-(key_dim / 2)^-1/2 (PKM)
  double alpha = 0.01;   // start of the learnable factor in mode add

  std::int64_t slots() const { return sub_keys * sub_keys; }
  bool present() const { return !layers.empty(); }
  // Index into `tables` of the table that a layer reads; -1: no memory there.
  int table_of(std::int64_t layer) const;
};

// Throws UserError naming the field. `model_layers`: depth of the decoder.
void check(const MemoryConfig& config, std::int64_t model_layers);

}  // namespace slotwise
