// config.json of a checkpoint (Hugging Face's keys, one object `memory`) and the [model] and
// [memory] sections of a settings file: to and from ModelConfig.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "data/tokenizer.h"
#include "memory/memory_model.h"
#include "train/options.h"

namespace slotwise {

// The vocabulary size is the tokenizer's.
ModelConfig model_config_from(const Options& options, std::int64_t vocabulary_size);

nlohmann::json config_json(const ModelConfig& config, const SpecialTokens& special);
ModelConfig parse_config_json(const nlohmann::json& json, const std::string& origin);

}  // namespace slotwise
