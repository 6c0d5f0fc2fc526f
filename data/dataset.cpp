#include "data/dataset.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"
#include "data/json_lines.h"
#include "data/tokenizer.h"

namespace slotwise {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kFormat = "slotwise-dataset";
constexpr int kVersion = 1;

PartKind part_kind(const std::string& text) {
  if (text == "rows") return PartKind::rows;
  if (text == "stream") return PartKind::stream;
  user_error("a part's kind must be \"rows\" or \"stream\", found \"{}\"", text);
}

const json& field(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) user_error("the field \"{}\" is missing", name);
  return *found;
}

DatasetManifest parse_manifest(const json& row) {
  if (!row.is_object() || row.value("format", "") != kFormat) {
    user_error("expected a dataset description with \"format\": \"{}\"", kFormat);
  }
  if (const int version = field(row, "version").get<int>(); version != kVersion) {
    user_error("version {} of the format, this program reads version {}: prepare it again", version,
               kVersion);
  }
  DatasetManifest manifest;
  manifest.name = text_field(row, "name");
  manifest.seed = field(row, "seed").get<std::uint64_t>();
  manifest.options = row.value("options", json::object()).dump();
  manifest.tokenizer = text_field(row, "tokenizer");
  manifest.tokenizer_hash = text_field(row, "tokenizer_hash");
  for (const json& part : field(row, "parts")) {
    manifest.parts.push_back({text_field(part, "name"), text_field(part, "shard"),
                              part_kind(text_field(part, "kind")),
                              field(part, "weight").get<double>()});
  }
  if (manifest.parts.empty()) user_error("\"parts\" must name at least one shard");
  manifest.heldout_text = row.value("heldout_text", "");
  manifest.facts = row.value("facts", "");
  manifest.questions = row.value("questions", manifest.questions);
  return manifest;
}

}  // namespace

void write_manifest(const DatasetManifest& manifest, const std::filesystem::path& folder) {
  ordered_json row;
  row["format"] = kFormat;
  row["version"] = kVersion;
  row["name"] = manifest.name;
  row["seed"] = manifest.seed;
  row["options"] = ordered_json::parse(manifest.options);
  row["tokenizer"] = manifest.tokenizer;
  row["tokenizer_hash"] = manifest.tokenizer_hash;
  row["parts"] = ordered_json::array();
  for (const DatasetManifest::Part& part : manifest.parts) {
    row["parts"].push_back({{"name", part.name},
                            {"shard", part.shard},
                            {"kind", part.kind == PartKind::rows ? "rows" : "stream"},
                            {"weight", part.weight}});
  }
  if (!manifest.heldout_text.empty()) row["heldout_text"] = manifest.heldout_text;
  if (!manifest.facts.empty()) row["facts"] = manifest.facts;
  if (!manifest.questions.empty()) row["questions"] = manifest.questions;
  write_file_atomically(folder / "dataset.json", row.dump(2) + "\n");
}

DatasetManifest read_manifest(const std::filesystem::path& folder) {
  const auto path = folder / "dataset.json";
  if (!std::filesystem::exists(path)) {
    user_error("{} is no dataset: it has no dataset.json; make one with slotwise-prepare",
               folder.string());
  }
  try {
    return parse_manifest(parse_json_text(read_file(path), "dataset description"));
  } catch (const json::exception& error) {
    user_error("{}: {}", path.string(), json_reason(error));
  } catch (const UserError& error) {
    user_error("{}: {}", path.string(), error.what());
  }
}

Dataset::Dataset(const std::filesystem::path& folder)
    : folder_(folder), manifest_(read_manifest(folder)) {
  tokenizer_ = load_tokenizer(tokenizer_path());
  if (tokenizer_->hash() != manifest_.tokenizer_hash) {
    user_error("{} is not the tokenizer that {} was made with (hash {:.12}, expected {:.12})",
               tokenizer_path().string(), (folder_ / "dataset.json").string(), tokenizer_->hash(),
               manifest_.tokenizer_hash);
  }
  for (const DatasetManifest::Part& part : manifest_.parts) {
    parts_.push_back({part.name, open_shard(part.shard), part.kind, part.weight});
  }
  if (!manifest_.heldout_text.empty()) heldout_text_ = open_shard(manifest_.heldout_text);
  const auto require = [&](const std::string& name) {
    if (!std::filesystem::exists(folder_ / name)) {
      user_error("{} is missing, though {} names it: prepare the dataset again",
                 (folder_ / name).string(), (folder_ / "dataset.json").string());
    }
  };
  if (!manifest_.facts.empty()) require(manifest_.facts);
  for (const auto& [role, name] : manifest_.questions) require(name);
}

Dataset::~Dataset() = default;

std::shared_ptr<const TokenShard> Dataset::open_shard(const std::string& name) const {
  auto shard = std::make_shared<const TokenShard>(folder_ / name);
  if (shard->tokenizer_hash() != manifest_.tokenizer_hash) {
    user_error("{} was made with another tokenizer than {} (hash {:.12}, expected {:.12})",
               shard->path().string(), tokenizer_path().string(), shard->tokenizer_hash(),
               manifest_.tokenizer_hash);
  }
  if (shard->vocabulary_size() > tokenizer_->vocabulary_size()) {
    user_error("{} counts {} tokens in its vocabulary, the tokenizer {}", shard->path().string(),
               shard->vocabulary_size(), tokenizer_->vocabulary_size());
  }
  return shard;
}

const TokenShard& Dataset::heldout_text() const {
  if (!heldout_text_) user_error("dataset {} has no held-out text", folder_.string());
  return *heldout_text_;
}

std::filesystem::path Dataset::facts_path() const {
  if (manifest_.facts.empty()) user_error("dataset {} has no facts to teach", folder_.string());
  return folder_ / manifest_.facts;
}

std::filesystem::path Dataset::questions_path(const std::string& role) const {
  const auto found = manifest_.questions.find(role);
  if (found == manifest_.questions.end()) {
    user_error("dataset {} has no questions \"{}\"", folder_.string(), role);
  }
  return folder_ / found->second;
}

std::string Dataset::fingerprint() const {
  Sha256 hash;
  hash.add(read_file(folder_ / "dataset.json"));
  for (const MixturePart& part : parts_) hash.add(part.shard->checksum());
  if (heldout_text_) hash.add(heldout_text_->checksum());
  if (!manifest_.facts.empty()) hash.add(sha256_of_file(facts_path()));
  for (const auto& [role, name] : manifest_.questions) hash.add(sha256_of_file(folder_ / name));
  return hash.hex();
}

void Dataset::verify() const {
  for (const MixturePart& part : parts_) part.shard->verify();
  if (heldout_text_) heldout_text_->verify();
}

}  // namespace slotwise
