// Reading and writing byte-level BPE: Hugging Face's tokenizer.json, and GPT-2's own two files.
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/byte_level_bpe.h"
#include "data/compressed_file.h"
#include "data/tokenizer_json.h"

namespace slotwise {

using nlohmann::json;

namespace {

std::int32_t id_in_merge(const Vocabulary& vocabulary, std::string_view token, std::size_t line) {
  const auto id = vocabulary.id(token);
  if (!id) {
    user_error(
        "merge {} speaks of \"{}\", which is not in the vocabulary: vocabulary and merges "
        "must come from the same tokenizer",
        line, token);
  }
  return *id;
}

std::pair<std::string, std::string> merge_halves(std::string_view merge, std::size_t line) {
  const std::size_t space = merge.find(' ');
  if (space == merge.npos || space == 0 || space + 1 == merge.size() ||
      merge.find(' ', space + 1) != merge.npos) {
    user_error("merge {} is \"{}\": expected two tokens with one space between", line, merge);
  }
  return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

// Merges are counted from 1 in messages.
MergeTable read_merges(const json& merges, const Vocabulary& vocabulary) {
  MergeTable table(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    const auto [left, right] = merge.is_array()
                                   ? merge.get<std::pair<std::string, std::string>>()
                                   : merge_halves(merge.get_ref<const std::string&>(), i + 1);
    const std::int32_t left_id = id_in_merge(vocabulary, left, i + 1);
    const std::int32_t right_id = id_in_merge(vocabulary, right, i + 1);
    const std::int32_t merged_id = id_in_merge(vocabulary, left + right, i + 1);
    table.set(left_id, right_id, {static_cast<std::int32_t>(i), merged_id});
  }
  return table;
}

bool is_set(const json& model, const char* key) {
  const auto value = model.find(key);
  return value != model.end() && !value->is_null() && *value != false && *value != "" &&
         *value != 0.0;
}

void check_model(const json& model) {
  for (const char* key :
       {"continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout"}) {
    if (is_set(model, key)) {
      user_error("model.{} is {}, which is not known here: expected a byte-level BPE without it",
                 key, model[key].dump());
    }
  }
  if (is_set(model, "unk_token") && is_set(model, "fuse_unk")) {
    user_error(
        "model.fuse_unk is true with an unk_token, which is not known here: set it to false");
  }
}

}  // namespace

std::unique_ptr<Tokenizer> byte_level_bpe_from_json(const json& document, std::string text) {
  const json& model = document.at("model");
  check_model(model);
  BpePreTokenizer pre_tokenizer = BpePreTokenizer::from_json(document.at("pre_tokenizer"));
  TokenizerParts parts = read_tokenizer_parts(document, std::move(text));
  std::optional<std::int32_t> unknown;
  if (is_set(model, "unk_token")) {
    unknown = parts.vocabulary.id(model["unk_token"].get_ref<const std::string&>());
    if (!parts.special.unknown) parts.special.unknown = unknown;
  }
  BpeModel bpe{read_merges(model.at("merges"), parts.vocabulary), std::move(pre_tokenizer),
               model.value("ignore_merges", false), unknown};
  return std::make_unique<ByteLevelBpe>(std::move(parts), std::move(bpe));
}

std::unique_ptr<Tokenizer> make_byte_level_bpe(const Vocabulary& vocabulary,
                                               std::vector<std::string> merges,
                                               std::vector<AddedToken> added,
                                               std::string_view name) {
  constexpr const char* kByteLevel =
      R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";
  TokenizerDocument document;
  document.vocabulary = &vocabulary;
  document.added = std::move(added);
  document.special = roles_by_name(document.added);
  document.pre_tokenizer = kByteLevel;
  document.decoder = kByteLevel;
  document.model_begin =
      "\"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
      "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": false";
  document.has_merges = true;
  document.model_merges = std::move(merges);
  return tokenizer_from_json(tokenizer_json_text(document), name);
}

namespace {

Vocabulary read_gpt2_vocabulary(const std::string& name, const json& encoder) {
  if (!encoder.is_object()) {
    user_error("{} is not GPT-2's encoder.json: expected one JSON object of token: id", name);
  }
  Vocabulary vocabulary;
  for (const auto& [token, id] : encoder.items()) {
    if (!id.is_number_integer()) {
      user_error("{}: token \"{}\" has id {}, expected a number", name, token, id.dump());
    }
    vocabulary.add(token, id.get<std::int64_t>());
  }
  return vocabulary;
}

std::vector<std::string> read_gpt2_merges(const std::filesystem::path& vocab_bpe) {
  std::vector<std::string> merges;
  const std::string text = read_compressed_file(vocab_bpe);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const bool is_version = begin == 0 && line.starts_with("#version");
    if (!line.empty() && !is_version) merges.emplace_back(line);
    begin = end + 1;
  }
  return merges;
}

}  // namespace

std::unique_ptr<Tokenizer> load_gpt2(const std::filesystem::path& encoder_json,
                                     const std::filesystem::path& vocab_bpe) {
  const std::string name = encoder_json.string();
  const Vocabulary vocabulary =
      read_gpt2_vocabulary(name, parse_json(read_compressed_file(encoder_json), name));
  const auto end_of_text = vocabulary.id("<|endoftext|>");
  if (!end_of_text) {
    user_error("{} has no token <|endoftext|>: expected GPT-2's encoder.json", name);
  }
  return make_byte_level_bpe(vocabulary, read_gpt2_merges(vocab_bpe),
                             {{*end_of_text, "<|endoftext|>"}},
                             fmt::format("{} with {}", name, vocab_bpe.string()));
}

}  // namespace slotwise
