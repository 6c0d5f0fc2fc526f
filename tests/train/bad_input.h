// What the tests of bad input share: copies of the tiny world that a test damages, and what every
// refusal must be: one sentence on stderr that names what is wrong, exit code 1 (usage errors 2),
// and not one file written or changed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/safetensors.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {

namespace fs = std::filesystem;
using nlohmann::json;

// Path -> contents of all files and folders below.
inline std::map<std::string, std::string> snapshot(const fs::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    out[entry.path().string()] = entry.is_regular_file() ? read_file(entry.path()) : "folder";
  }
  return out;
}

inline void overwrite(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// A folder with copies that a test may damage.
class BadInput : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  fs::path data_ = folder_ / "data", checkpoint_ = folder_ / "checkpoint", out_ = folder_ / "out";

  BadInput() {
    fs::copy(tiny_world().data, data_);
    fs::copy(tiny_world().checkpoint, checkpoint_);
  }

  TinyWorld world() const { return {tiny_world().settings, data_, checkpoint_}; }

  // The program must refuse, say each of `phrases`, and leave every file as it was.
  void refuses(const std::string& program, const Words& arguments, const Words& phrases,
               int code = 1) {
    const auto before = snapshot(folder_.path());
    const Finished done = run_program(program, arguments);
    EXPECT_EQ(done.code, code) << done.error;
    const auto lines = std::count(done.error.begin(), done.error.end(), '\n');
    EXPECT_EQ(lines, 1) << "not one sentence: " << done.error;
    EXPECT_TRUE(done.error.rfind("slotwise-" + program + ": ", 0) == 0) << done.error;
    for (const std::string& phrase : phrases) {
      EXPECT_TRUE(contains(done.error, phrase)) << "no '" << phrase << "' in: " << done.error;
    }
    EXPECT_FALSE(contains(done.error, "json.exception")) << done.error;
    EXPECT_TRUE(snapshot(folder_.path()) == before) << "files were written or changed";
  }
  void checkpoint_refused(const Words& phrases) {
    refuses("evaluate", {"--checkpoint", checkpoint_, "--data", data_}, phrases);
    refuses("inspect", {"--checkpoint", checkpoint_}, phrases);
    refuses("finetune", world().finetune(out_, "smf"), phrases);
  }
  void data_refused(const Words& phrases) {
    refuses("pretrain", world().pretrain(out_), phrases);
    refuses("finetune", world().finetune(out_, "full"), phrases);
  }
  void settings_refused(const std::string& setting, const Words& phrases) {
    refuses("pretrain", world().pretrain(out_) + Words{"--set", setting}, phrases);
  }

  // After this a damaged checkpoint is met without its checksums.
  void drop_checksums() { fs::remove(checkpoint_ / "SHA256SUMS"); }
  void change_config(const std::function<void(json&)>& change) {
    drop_checksums();
    json config = json::parse(read_file(checkpoint_ / "config.json"));
    change(config);
    overwrite(checkpoint_ / "config.json", config.dump());
  }
  void change_tensors(const char* file, const std::function<void(TensorFile&)>& change) {
    drop_checksums();
    TensorFile tensors = read_safetensors(checkpoint_ / file);
    change(tensors);
    write_safetensors(checkpoint_ / file, tensors.tensors, tensors.metadata);
  }
  void flip_byte(const fs::path& path, std::size_t from_end) {
    std::string text = read_file(path);
    text[text.size() - from_end] = static_cast<char>(text[text.size() - from_end] ^ 0x40);
    overwrite(path, text);
  }
  void truncate(const fs::path& path) { fs::resize_file(path, fs::file_size(path) / 2); }
};

}  // namespace slotwise::testing
