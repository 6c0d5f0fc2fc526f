#include "data/bpe_pre_tokenizer.h"

#include <string>

#include "core/error.h"

namespace slotwise {

using nlohmann::json;

BpePreTokenizer BpePreTokenizer::from_json(const json& pre_tokenizer) {
  const std::string type =
      pre_tokenizer.is_object() ? pre_tokenizer.at("type").get<std::string>() : "null";
  const json stages =
      type == "Sequence" ? pre_tokenizer.at("pretokenizers") : json::array({pre_tokenizer});
  BpePreTokenizer result;
  bool is_byte_level = false;
  for (const json& stage : stages) {
    const std::string name = stage.is_object() ? stage.at("type").get<std::string>() : "null";
    if (is_byte_level) user_error("the pre-tokenizer {} follows ByteLevel, expected it last", name);
    if (name == "ByteLevel") {
      result.add_byte_level(stage);
      is_byte_level = true;
    } else if (name == "Split") {
      result.add_split(stage);
    } else if (name == "Digits") {
      const bool is_individual = stage.value("individual_digits", false);
      result.stages_.push_back({false, {}, true, true});
      result.stages_.back().cut.emplace_back(is_individual ? R"(\p{N})" : R"(\p{N}+)");
    } else {
      user_error(
          "the pre-tokenizer {} is not known here: expected ByteLevel, or a Sequence of "
          "Split or Digits that ends with ByteLevel",
          name);
    }
  }
  if (!is_byte_level) user_error("this BPE is not byte-level: expected a ByteLevel pre-tokenizer");
  return result;
}

void BpePreTokenizer::add_split(const json& split) {
  const json& pattern = split.at("pattern");
  if (!pattern.contains("Regex")) {
    user_error("a Split pre-tokenizer has the pattern {}: expected a Regex", pattern.dump());
  }
  const auto behavior = split.at("behavior").get<std::string>();
  const bool invert = split.value("invert", false);
  if (behavior != "Isolated" && behavior != "Removed") {
    user_error("a Split pre-tokenizer has the behavior {}: expected Isolated or Removed", behavior);
  }
  const bool is_isolated = behavior == "Isolated";
  stages_.push_back({false, {}, is_isolated || invert, is_isolated || !invert});
  stages_.back().cut.emplace_back(pattern["Regex"].get<std::string>());
}

void BpePreTokenizer::add_byte_level(const json& byte_level) {
  stages_.push_back({byte_level.value("add_prefix_space", true), {}, true, true});
  if (byte_level.value("use_regex", true)) stages_.back().cut.emplace_back(kGpt2Pattern);
}

void BpePreTokenizer::split_from(std::size_t stage_index, std::string_view text,
                                 const std::function<void(std::string_view)>& word) const {
  if (text.empty()) return;
  if (stage_index == stages_.size()) {
    word(text);
    return;
  }
  const Stage& stage = stages_[stage_index];
  std::string with_space;
  if (stage.add_prefix_space && text.front() != ' ') {
    with_space.reserve(text.size() + 1);
    with_space.append(1, ' ').append(text);
    text = with_space;
  }
  std::size_t gap_begin = 0;
  const auto pass_gap = [&](std::size_t gap_end) {
    if (stage.keep_gaps) {
      split_from(stage_index + 1, text.substr(gap_begin, gap_end - gap_begin), word);
    }
  };
  for (const UnicodeRegex& regex : stage.cut) {
    regex.for_each_match(text, [&](std::size_t begin, std::size_t end) {
      pass_gap(begin);
      if (stage.keep_matches) split_from(stage_index + 1, text.substr(begin, end - begin), word);
      gap_begin = end;
    });
  }
  pass_gap(text.size());
}

}  // namespace slotwise
