// A dataset is a folder that dataset.json describes: a tokenizer, token shards with weights, and
// optionally held-out text, facts to teach and question files. dataset.json is written last, so a
// folder that has one is complete. Paths in it are relative to the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/mixture_loader.h"
#include "data/token_shard.h"

namespace slotwise {

class Tokenizer;

struct DatasetManifest {
  struct Part {
    std::string name;
    std::string shard;
    PartKind kind = PartKind::rows;
    double weight = 1.0;
  };

  std::string name;
  std::uint64_t seed = 0;
  std::string options = "{}";  // JSON object: what the dataset was made with
  std::string tokenizer = "tokenizer.json";
  std::string tokenizer_hash;
  std::vector<Part> parts;
  std::string heldout_text;                      // a shard; empty: none
  std::string facts;                             // a facts file; empty: none
  std::map<std::string, std::string> questions;  // by role ("old", "new", ...)
};

void write_manifest(const DatasetManifest& manifest, const std::filesystem::path& folder);
DatasetManifest read_manifest(const std::filesystem::path& folder);

// Opens everything that the manifest names; a missing file or one made with another tokenizer is a
// UserError that names it.
class Dataset {
 public:
  explicit Dataset(const std::filesystem::path& folder);
  ~Dataset();

  const std::filesystem::path& folder() const { return folder_; }
  const DatasetManifest& manifest() const { return manifest_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  std::filesystem::path tokenizer_path() const { return folder_ / manifest_.tokenizer; }
  const std::vector<MixturePart>& parts() const { return parts_; }

  // These throw a UserError where the dataset has no such thing.
  const TokenShard& heldout_text() const;
  std::filesystem::path facts_path() const;
  std::filesystem::path questions_path(const std::string& role) const;
  bool has_questions(const std::string& role) const { return manifest_.questions.contains(role); }

  void verify() const;  // the checksums of all shards
  // SHA-256 over dataset.json, the checksums that the shards state, facts and questions: tells
  // whether a run goes on with the data it began with.
  std::string fingerprint() const;

 private:
  std::shared_ptr<const TokenShard> open_shard(const std::string& name) const;

  std::filesystem::path folder_;
  DatasetManifest manifest_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<MixturePart> parts_;
  std::shared_ptr<const TokenShard> heldout_text_;
};

}  // namespace slotwise
