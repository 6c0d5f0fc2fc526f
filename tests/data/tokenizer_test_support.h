// What the tokenizer tests share: fixtures, and what a message must say.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/compressed_file.h"
#include "data/tokenizer.h"
#include "data/tokenizer_json.h"
#include "tests/data/temporary_folder.h"

namespace slotwise::testing {

inline std::filesystem::path tokenizer_fixture(const std::string& name) {
  return std::filesystem::path("tests/data/fixtures/tokenizer") / name;
}

// The references of Hugging Face's library: [{"text": ..., "ids": [...], "decoded": ...}, ...]
inline void expect_same_encodings(const Tokenizer& tokenizer, const std::string& fixture) {
  const nlohmann::json cases =
      parse_json(read_compressed_file(tokenizer_fixture(fixture)), fixture);
  ASSERT_FALSE(cases.empty());
  for (const auto& entry : cases) {
    const auto ids = entry["ids"].get<std::vector<std::int32_t>>();
    EXPECT_EQ(tokenizer.encode(entry["text"].get<std::string>()), ids) << entry["text"];
    EXPECT_EQ(tokenizer.decode(ids), entry["decoded"].get<std::string>()) << entry["text"];
  }
}

// The call throws a UserError of one line that holds each of the words.
template <class Call>
void expect_user_error(Call&& call, const std::vector<std::string>& words) {
  const std::string message = user_error_of(call);
  for (const std::string& word : words) {
    EXPECT_TRUE(contains(message, word)) << message << "\nlacks: " << word;
  }
  EXPECT_FALSE(contains(message, "\n")) << message;
}

}  // namespace slotwise::testing
