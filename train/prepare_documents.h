// What kinds of datasets made of files share: reading documents, training a tokenizer on them, and
// writing them as token shards.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/tokenizer.h"
#include "train/options.h"

namespace slotwise {

// A path or a list of paths at data.<key>, each below data.folder where that is given and the path
// is not absolute; empty where the key is absent.
std::vector<std::string> file_list(const Options& options, const std::string& key);
std::string in_data_folder(const Options& options, const std::string& path);

// The table data.questions: roles to files, each of which can be read; empty where it is absent.
std::map<std::string, std::string> question_files(const Options& options);
// Copies them into the dataset and names them in its manifest.
void copy_questions(const std::map<std::string, std::string>& files,
                    const std::filesystem::path& out, DatasetManifest& manifest);
void copy_in(const std::string& from, const std::filesystem::path& to);

// A tokenizer.json, or GPT-2's own pair of files, told by the name "...encoder.json[.gz]": the
// other, "...vocab.bpe[.gz]", lies beside it.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& path);

// Visits the field "text" of every row of JSONL files, until `visit` says false or `byte_limit`
// bytes (0: no limit) have been read.
void for_each_document(const std::vector<std::string>& files, std::int64_t byte_limit,
                       const std::function<bool(const std::string& text)>& visit);

// A byte-level BPE trained on `add`'s texts, said aloud unless quiet.
std::unique_ptr<Tokenizer> train_tokenizer(
    std::int64_t vocabulary_size, bool quiet,
    const std::function<void(const std::function<bool(const std::string&)>& add)>& texts);

// Each document is a sequence that ends with the end-of-text token.
void write_document_shard(const std::vector<std::string>& files, std::int64_t byte_limit,
                          const Tokenizer& tokenizer, const std::filesystem::path& path,
                          const std::string& name, bool quiet);

}  // namespace slotwise
